//! Draws the screen. At 80 columns and 24 lines everything has its place; with more there are more rows, and with less
//! there are fewer columns and lines: what does not fit is left out whole, so that no number is cut.
//!
//! ```text
//!   title                          server, version, uptime, or what is wrong
//!   counters      | now, loop      a second and in all | how many, how busy
//!   store         commits, what waits, the file; where it is on disk
//!   memory        by purpose
//!   ended         by close code and reason
//!   rooms                          sorted, one chosen
//!   slowest
//!   keys
//! ```

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Cell, Row, StatefulWidget, Table, TableState, Widget};

use super::figures::{Ending, Figures, Percentile, Store, meaning};
use super::poll::{Detail, Subject};
use super::screen::{Focus, ROOM_ORDERS, SLOW_ORDERS, Screen};

/// The styles.
#[derive(Clone, Copy, Debug)]
pub struct Theme {
    colour: bool,
    ascii: bool,
}

impl Theme {
    /// Without `colour` there is only bold and reverse.
    pub const fn new(colour: bool) -> Self {
        Self { colour, ascii: false }
    }

    /// With ASCII alone, for terminals that show nothing else.
    #[must_use]
    pub const fn in_ascii(self, ascii: bool) -> Self {
        Self { ascii, ..self }
    }

    /// A text, or what stands for it where there is ASCII alone.
    const fn say(self, text: &'static str, in_ascii: &'static str) -> &'static str {
        if self.ascii { in_ascii } else { text }
    }

    /// Nothing but ASCII stays: a name that has more is not shown whole.
    fn settle(self, buffer: &mut Buffer) {
        if self.ascii {
            for cell in buffer.content.iter_mut().filter(|cell| !cell.symbol().is_ascii()) {
                cell.set_char('?');
            }
        }
    }

    fn bar(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    fn head(self) -> Style {
        self.tinted(Color::Cyan).add_modifier(Modifier::BOLD)
    }

    fn label(self) -> Style {
        self.tinted(Color::DarkGray)
    }

    fn alarm(self) -> Style {
        self.tinted(Color::Red).add_modifier(Modifier::BOLD)
    }

    fn tinted(self, colour: Color) -> Style {
        if self.colour { Style::new().fg(colour) } else { Style::new() }
    }
}

/// Draws all of it.
pub fn draw(screen: &Screen, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let [title, body, keys] =
        Layout::vertical([Constraint::Length(1), Constraint::Fill(1), Constraint::Length(1)]).areas(area);
    draw_title(screen, theme, title, buffer);
    match (&screen.subject, &screen.figures) {
        (Some((subject, detail)), _) => draw_detail(screen, theme, (subject, detail), body, buffer),
        (None, Some(figures)) => draw_figures(screen, theme, figures, body, buffer),
        (None, None) => {}
    }
    let arrows = theme.say("↑↓", "up/down");
    let words = match &screen.subject {
        Some(_) => [" q quit", "Esc back", &format!("{arrows} scroll"), "p pause"].join("\n"),
        None => [" q quit", "Tab other table", &format!("{arrows} choose"), "Enter look into", "s sort", "p pause"]
            .join("\n"),
    };
    let mut shown = String::new();
    for word in words.lines() {
        let gap = if shown.is_empty() { "" } else { "   " };
        if shown.chars().count() + gap.len() + word.chars().count() > usize::from(area.width) {
            break;
        }
        shown.extend([gap, word]);
    }
    Line::styled(shown, theme.label()).render(keys, buffer);
    theme.settle(buffer);
}

/// The figures as text, all rows of them, without colours; in ASCII if nothing else can be shown.
pub fn text(screen: &Screen, ascii: bool) -> String {
    let Some(figures) = &screen.figures else { return String::new() };
    let theme = Theme::new(false).in_ascii(ascii);
    let rows = figures.rooms.len().max(1) + figures.slowest.len().max(1) + 4;
    let height = (COUNTER_LINES + 2 * MANY_LINES + rows) as u16;
    let area = Rect::new(0, 0, TEXT_WIDTH, height);
    let mut buffer = Buffer::empty(area);
    let [title, body] = Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).areas(area);
    draw_title(screen, theme, title, &mut buffer);
    draw_figures(screen, theme, figures, body, &mut buffer);
    theme.settle(&mut buffer);
    let mut text = lines(&buffer).join("\n");
    text.truncate(text.trim_end().len());
    text + "\n"
}

/// The text of a buffer, without blanks at the ends of lines.
pub fn lines(buffer: &Buffer) -> Vec<String> {
    let width = usize::from(buffer.area.width.max(1));
    let rows = buffer.content.chunks(width);
    rows.map(|cells| {
        let line: String = cells.iter().map(ratatui::buffer::Cell::symbol).collect();
        line.trim_end().to_owned()
    })
    .collect()
}

fn draw_title(screen: &Screen, theme: Theme, area: Rect, buffer: &mut Buffer) {
    buffer.set_style(area, theme.bar());
    let Screen { server, figures, error, paused, .. } = screen;
    let mut words = match figures {
        Some(figures) => {
            let Figures { version, status, uptime_s, .. } = figures;
            let whole = format!(" salon {version}  {server}  up {}  {status}", time(*uptime_s));
            let fits = whole.chars().count() <= usize::from(area.width);
            if fits { whole } else { format!(" salon  {status}  {server}") }
        }
        None => format!(" salon top  {server}"),
    };
    if *paused {
        words += "  PAUSED";
    }
    let right = match (error, figures) {
        (Some(error), _) => format!("{error}; trying again "),
        (None, None) => "asking ... ".into(),
        (None, Some(figures)) if figures.over_s == 0.0 => "rates follow ".into(),
        (None, Some(figures)) => format!("rates over {} ", time(figures.over_s)),
    };
    let width = (right.chars().count() as u16).min(area.width);
    // On a narrow terminal a fault is more important than the version, and the time of the rates is less.
    let fits = words.chars().count() as u16 + width < area.width;
    Line::raw(words).render(area, buffer);
    if error.is_none() && !fits {
        return;
    }
    let right_area = Rect { x: area.right() - width, width, ..area };
    let style = if error.is_some() { theme.alarm().add_modifier(Modifier::REVERSED) } else { Style::new() };
    Line::styled(right, style).render(right_area, buffer);
}

fn draw_figures(screen: &Screen, theme: Theme, figures: &Figures, area: Rect, buffer: &mut Buffer) {
    let many = if area.height >= 30 { MANY_LINES } else { FEW_LINES };
    let width = usize::from(area.width).saturating_sub(LABEL_WIDTH);
    let mut store = figures.store.as_ref().map_or(Vec::new(), |store| packed(store_items(store, theme), width, many));
    let mut memory = packed(memory_items(figures), width, many);
    let mut ended = packed(ending_items(&figures.endings), width, many);
    let height = usize::from(area.height);
    // On a low terminal the tables keep some lines, and the counters those that matter most.
    for extra in [&mut ended, &mut memory, &mut store] {
        extra.truncate(height.saturating_sub(COUNTER_LINES + TABLE_LINES).min(extra.len()));
    }
    while COUNTER_LINES + TABLE_LINES + store.len() + memory.len() + ended.len() > height
        && [&mut ended, &mut memory, &mut store].into_iter().any(|extra| extra.pop().is_some())
    {}
    let counter_lines = match usize::from(area.width) < LEAST_COUNTERS {
        true => 0,
        false => height.saturating_sub(TABLE_LINES).clamp(TABLE_LINES.min(height), COUNTER_LINES),
    };
    let [counters, store_area, memory_area, ended_area, tables] = Layout::vertical([
        Constraint::Length(counter_lines as u16),
        Constraint::Length(store.len() as u16),
        Constraint::Length(memory.len() as u16),
        Constraint::Length(ended.len() as u16),
        Constraint::Fill(1),
    ])
    .areas(area);
    draw_counters(theme, figures, counters, buffer);
    labelled("store", &store, theme, store_area, buffer);
    if figures.store.as_ref().is_some_and(|store| store.failing) {
        buffer.set_style(store_area, theme.alarm());
    }
    labelled("memory", &memory, theme, memory_area, buffer);
    labelled("ended", &ended, theme, ended_area, buffer);
    let [rooms, slowest] = if area.width >= WIDE {
        Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).spacing(2).areas(tables)
    } else {
        // As many lines as there are slow ones, but not more than half.
        let wanted = figures.slowest.len().max(1) as u16 + 1;
        let share = if usize::from(tables.height) < TABLE_LINES { 0 } else { wanted.min(tables.height / 2) };
        Layout::vertical([Constraint::Fill(1), Constraint::Length(share)]).areas(tables)
    };
    draw_rooms(screen, theme, rooms, buffer);
    draw_slowest(screen, theme, figures, slowest, buffer);
}

fn draw_counters(theme: Theme, figures: &Figures, area: Rect, buffer: &mut Buffer) {
    // Whole columns or none.
    let (in_all, now) = match area.width {
        72.. => (true, true),
        57.. => (false, true),
        45.. => (true, false),
        _ => (false, false),
    };
    let width = if in_all { 48 } else { 33 };
    let [left, right] = Layout::horizontal([Constraint::Length(width), Constraint::Fill(1)]).areas(area);
    let total = |text: String| if in_all { format!("{text:>15}") } else { String::new() };
    let head = format!("{:16}{:>14}{}", "", "a second", total("in all".into()));
    let mut lines = vec![Line::styled(head, theme.head())];
    lines.extend(figures.rates.iter().map(|rate| {
        let show = |value: f64| if rate.bytes { bytes(value) } else { count(value) };
        let values = format!("{:>14}{}", show(rate.per_second), total(show(rate.total as f64)));
        Line::from(vec![Span::styled(format!(" {:15}", rate.name), theme.label()), values.into()])
    }));
    Text::from(lines).render(left, buffer);
    if !now {
        return;
    }

    let mut lines: Vec<Line<'_>> = Vec::new();
    let mut add = |name: &str, value: String, style: Style| {
        lines.push(Line::from(vec![Span::styled(format!("{name:14}"), theme.label()), Span::styled(value, style)]));
    };
    figures.now.iter().for_each(|(name, value)| add(name, count(*value as f64), Style::new()));
    let style = if figures.busy >= FULL { theme.alarm() } else { Style::new() };
    add("loop busy", format!("{:.1} %", figures.busy * 100.0), style);
    // The half and what is over the rest, of which there is more to know in `--json` and `/metrics`.
    let turns = figures.turns.iter().filter(|percentile| percentile.name != "p50").map(|turn| ("turn", turn));
    let sent = figures.deliveries.iter().filter(|percentile| percentile.name != "max").map(|sent| ("sent", sent));
    for (what, percentile) in turns.chain(sent) {
        add(&format!("{what} {}", percentile.name), bound(percentile, theme), Style::new());
    }
    Text::from(lines).render(right, buffer);
}

fn draw_rooms(screen: &Screen, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let rooms = screen.sorted_rooms();
    let sorted = ROOM_ORDERS[screen.rooms.order];
    let mark = |name: &str, shown: &str| {
        if sorted == name { format!("{}{shown}", theme.say("▼", "*")) } else { shown.into() }
    };
    let head = [
        right(mark("members", "members")),
        right("sessions".into()),
        right(mark("messages", "messages/s")),
        right(mark("deliveries", "deliveries/s")),
    ];
    let rows = rooms.iter().map(|room| {
        let values = [
            right(count(room.members as f64)),
            right(count(room.sessions as f64)),
            right(count(room.messages_per_second)),
            right(count(room.deliveries_per_second)),
        ];
        (Cell::new(format!(" {}", room.room_id)), values)
    });
    let columns = Columns::fitting(area.width, [9, 9, 11, 13], [3, 0, 2, 1]);
    let chosen = (screen.focus == Focus::Rooms).then_some(screen.rooms.at);
    let filling = Filling { empty: rooms.is_empty(), nothing: "no rooms", chosen };
    let title = Cell::new(Line::raw(" Rooms by fan-out"));
    draw_table(columns.table(rows), columns.row((title, head)), filling, theme, area, buffer);
}

fn draw_slowest(screen: &Screen, theme: Theme, figures: &Figures, area: Rect, buffer: &mut Buffer) {
    let slowest = screen.sorted_slowest();
    let sorted = SLOW_ORDERS[screen.slowest.order];
    let mark = |name: &str| if sorted == name { format!("{}{name}", theme.say("▼", "*")) } else { name.into() };
    let total = match figures.waiting.connections {
        0 => String::new(),
        connections => format!(" ({}: {})", count(connections as f64), bytes(figures.waiting.bytes as f64)),
    };
    let head = [right(mark("waiting")), right(mark("blocked")), Cell::new("address"), Cell::new("session")];
    let rows = slowest.iter().map(|slow| {
        let values = [
            right(bytes(slow.waiting_bytes as f64)),
            right(time(slow.blocked_ms as f64 / 1000.0)),
            Cell::new(slow.address.as_deref().unwrap_or("-").to_owned()),
            Cell::new(slow.session_id.as_deref().unwrap_or("-").to_owned()),
        ];
        (Cell::new(format!(" {}", slow.user_id.as_deref().unwrap_or("-"))), values)
    });
    let columns = Columns::fitting(area.width, [10, 9, 15, 16], [0, 1, 2, 3]);
    let chosen = (screen.focus == Focus::Slowest).then_some(screen.slowest.at);
    let filling = Filling { empty: slowest.is_empty(), nothing: "nobody waits", chosen };
    let title = Cell::new(Line::raw(format!(" Slowest{total}")));
    draw_table(columns.table(rows), columns.row((title, head)), filling, theme, area, buffer);
}

/// The columns of a table that a width has room for, beside that of the name.
struct Columns {
    /// Their widths; `None`: left out.
    widths: [Option<u16>; 4],
}

impl Columns {
    /// Those of these widths that fit; `by_worth` has their indices, the most important first.
    fn fitting(room: u16, widths: [u16; 4], by_worth: [usize; 4]) -> Self {
        let mut left = room.saturating_sub(LEAST_NAME);
        let mut fit = [None; 4];
        for at in by_worth {
            let Some(rest) = left.checked_sub(widths[at] + 1) else { break };
            (left, fit[at]) = (rest, Some(widths[at]));
        }
        Self { widths: fit }
    }

    fn row<'a>(&self, (name, values): (Cell<'a>, [Cell<'a>; 4])) -> Row<'a> {
        let kept = values.into_iter().zip(self.widths).filter(|(_, width)| width.is_some()).map(|(cell, _)| cell);
        Row::new(std::iter::once(name).chain(kept))
    }

    fn table<'a>(&self, rows: impl Iterator<Item = (Cell<'a>, [Cell<'a>; 4])>) -> Table<'a> {
        let widths = self.widths.into_iter().flatten().map(Constraint::Length);
        Table::new(rows.map(|row| self.row(row)), std::iter::once(Constraint::Fill(1)).chain(widths))
    }
}

/// What fills a table: its rows, one of which may be chosen, or the words for none.
struct Filling<'a> {
    empty: bool,
    nothing: &'a str,
    chosen: Option<usize>,
}

fn draw_table(table: Table<'_>, head: Row<'_>, filling: Filling<'_>, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let Filling { empty, nothing, chosen } = filling;
    let table = table.header(head.style(theme.head())).row_highlight_style(theme.bar());
    let mut state = TableState::new().with_selected(chosen.filter(|_| !empty));
    StatefulWidget::render(table, area, buffer, &mut state);
    if empty && area.height > 1 {
        Line::styled(format!(" {nothing}"), theme.label()).render(Rect { y: area.y + 1, height: 1, ..area }, buffer);
    }
}

fn draw_detail(
    screen: &Screen,
    theme: Theme,
    (subject, detail): (&Subject, &Result<Detail, String>),
    area: Rect,
    buffer: &mut Buffer,
) {
    let (kind, name) = match subject {
        Subject::Room(name) => ("room", name),
        Subject::Session(id) => ("session", id),
    };
    let mut lines = vec![Line::styled(format!(" {kind} {name}"), theme.head())];
    match detail {
        Err(sentence) => lines.push(Line::raw(format!(" {sentence}"))),
        Ok(Detail { facts, list_of, list }) => {
            let fact = |name: &str, value: String| {
                Line::from(vec![Span::styled(format!(" {name:16}"), theme.label()), Span::raw(value)])
            };
            lines.extend(facts.iter().map(|(name, value)| fact(name, value.clone())));
            let rooms = screen.figures.iter().flat_map(|figures| &figures.rooms);
            if let Some(room) = rooms.into_iter().find(|room| kind == "room" && room.room_id == *name) {
                lines.push(fact("sessions", count(room.sessions as f64)));
                lines.push(fact("messages/s", count(room.messages_per_second)));
                lines.push(fact("deliveries/s", count(room.deliveries_per_second)));
            }
            lines.push(Line::styled(format!(" {list_of}: {}", list.len()), theme.head()));
            lines.extend(list.iter().skip(screen.scrolled).map(|line| Line::raw(format!(" {line}"))));
        }
    }
    Text::from(lines).render(area, buffer);
}

fn labelled(label: &str, lines: &[String], theme: Theme, area: Rect, buffer: &mut Buffer) {
    let lines = lines.iter().enumerate().map(|(at, line)| {
        let label = if at == 0 { label } else { "" };
        Line::from(vec![Span::styled(format!(" {label:0$}", LABEL_WIDTH - 1), theme.label()), Span::raw(line.clone())])
    });
    Text::from(lines.collect::<Vec<_>>()).render(area, buffer);
}

fn store_items(store: &Store, theme: Theme) -> Vec<String> {
    let mut items = Vec::new();
    if store.failing {
        items.push("FAILING".into());
    }
    items.push(format!("commits {}/s", count(store.commits_per_second)));
    let shown = |percentile: &Percentile| format!("{} {}", percentile.name, bound(percentile, theme));
    items.extend(store.commits.iter().take(2).map(shown));
    items.push(format!("waiting {}", count(store.waiting as f64)));
    items.push(match store.file_limit_bytes {
        0 => format!("file {}", bytes(store.file_bytes as f64)),
        limit => format!("file {} of {}", bytes(store.file_bytes as f64), bytes(limit as f64)),
    });
    items.push(format!("dropped {}", count(store.dropped as f64)));
    if store.failures > 0 {
        items.push(format!("failures {}", count(store.failures as f64)));
    }
    items
}

fn memory_items(figures: &Figures) -> Vec<String> {
    let mut memory = figures.memory.clone();
    memory.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    let items = memory.iter().map(|(purpose, held)| format!("{purpose} {}", bytes(*held as f64)));
    if memory.is_empty() { vec!["not told by this server".into()] } else { items.collect() }
}

fn ending_items(endings: &[Ending]) -> Vec<String> {
    let mut endings: Vec<&Ending> = endings.iter().collect();
    endings.sort_by_key(|ending| std::cmp::Reverse((ending.seen, ending.total)));
    let items = endings.iter().map(|Ending { kind, reason, total, seen }| {
        let meaning = if *kind == "close" { meaning(reason) } else { kind };
        let reason = [reason.as_str(), meaning].join(" ").trim_end().replace('_', " ");
        match seen {
            0 => format!("{reason} {}", count(*total as f64)),
            seen => format!("{reason} {} (+{})", count(*total as f64), count(*seen as f64)),
        }
    });
    if endings.is_empty() { vec!["nothing".into()] } else { items.collect() }
}

/// Items side by side, in lines of a width. Dots stand for items that do not fit into so many lines.
fn packed(items: Vec<String>, width: usize, max_lines: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for item in items {
        let line = lines.last_mut().expect("there is one");
        let len = line.chars().count();
        let last = lines.len() == max_lines;
        let line = lines.last_mut().expect("there is one");
        // On the last line there must be room for the dots as well.
        let room = width.saturating_sub(if last { 4 } else { 0 });
        if item.chars().count() > width {
            *line += if len == 0 { "..." } else { " ..." };
            break;
        } else if len == 0 {
            *line = item;
        } else if len + 2 + item.chars().count() <= room {
            *line += "  ";
            *line += &item;
        } else if last {
            *line += " ...";
            break;
        } else {
            lines.push(item);
        }
    }
    lines
}

fn right(text: String) -> Cell<'static> {
    Cell::new(Line::raw(text).right_aligned())
}

/// A number to be read: with separators, and one digit behind the point where it is small.
fn count(value: f64) -> String {
    if value > 0.0 && value < 10.0 && value.fract() != 0.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn bytes(value: f64) -> String {
    let mut value = value;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return if unit == "B" || value >= 100.0 {
                format!("{value:.0} {unit}")
            } else {
                format!("{value:.1} {unit}")
            };
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

fn time(seconds: f64) -> String {
    let whole = seconds as u64;
    match whole {
        0..10 => format!("{seconds:.1} s"),
        10..60 => format!("{whole} s"),
        60..3600 => format!("{} min", whole / 60),
        3600..86_400 => format!("{} h {} min", whole / 3600, whole / 60 % 60),
        _ => format!("{} d {} h", whole / 86_400, whole / 3600 % 24),
    }
}

fn bound(percentile: &Percentile, theme: Theme) -> String {
    let shown = |seconds: f64| match seconds {
        ..0.001 => format!("{:.0} {}", seconds * 1e6, theme.say("µs", "us")),
        ..1.0 => format!("{:.0} ms", seconds * 1e3),
        _ => format!("{seconds:.0} s"),
    };
    match (percentile.at_most_s, percentile.over_s) {
        (Some(seconds), _) => format!("{} {}", theme.say("≤", "<="), shown(seconds)),
        (None, Some(seconds)) => format!("> {}", shown(seconds)),
        (None, None) => "-".into(),
    }
}

/// Lines of counters, with their head.
const COUNTER_LINES: usize = 9;

/// Lines that the tables have at least, if there are so many, with their heads.
const TABLE_LINES: usize = 4;

/// Columns that counters take at least: their names, and what they are a second.
const LEAST_COUNTERS: usize = 30;

/// Columns of a name in a table, at least.
const LEAST_NAME: u16 = 21;

/// Lines of memory, and of ends, at most.
const FEW_LINES: usize = 1;
const MANY_LINES: usize = 3;

/// The label before them.
const LABEL_WIDTH: usize = 9;

/// From so many columns on the tables stand side by side.
const WIDE: u16 = 160;

/// Columns of [`text`].
const TEXT_WIDTH: u16 = 100;

/// From this share on the loop has no time left for a busier moment.
const FULL: f64 = 0.7;

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::super::figures::{Figures, Snapshot};
    use super::super::metrics::Metrics;
    use super::*;

    fn snapshot(uptime: u32, factor: u32, top: &str) -> Snapshot {
        let mut page = String::new();
        for (name, value) in [
            ("salon_uptime_seconds", uptime),
            ("salon_connections", 1003),
            ("salon_sessions", 1000),
            ("salon_users", 998),
            ("salon_rooms", 2),
            ("salon_connections_accepted_total", 1003 + factor),
            ("salon_messages_received_total", 100 * factor),
            ("salon_deliveries_total", 100_000 * factor),
            ("salon_received_bytes_total", 12_000 * factor),
            ("salon_sent_bytes_total", 14_000_000 * factor),
            ("salon_turn_seconds_bucket{le=\"0.001\"}", 980 * factor),
            ("salon_turn_seconds_bucket{le=\"0.02\"}", 1000 * factor),
            ("salon_turn_seconds_bucket{le=\"+Inf\"}", 1000 * factor),
            ("salon_turn_seconds_sum", factor),
            ("salon_delivery_seconds_bucket{le=\"0.00025\"}", 60_000 * factor),
            ("salon_delivery_seconds_bucket{le=\"0.005\"}", 100_000 * factor),
            ("salon_delivery_seconds_bucket{le=\"+Inf\"}", 100_000 * factor),
            ("salon_turn_seconds_count", 1000 * factor),
            ("salon_closes_total{code=\"1006\"}", 10 + factor),
            ("salon_closes_total{code=\"1000\"}", 7),
            ("salon_cut_off_total{reason=\"outbox_bytes\"}", 0),
            ("salon_cut_off_total{reason=\"no_pong\"}", 2),
            ("salon_memory_bytes{purpose=\"history\"}", 3_000_000),
            ("salon_memory_bytes{purpose=\"outboxes\"}", 4_000_000),
        ] {
            writeln!(page, "{name} {value}").unwrap();
        }
        Snapshot { metrics: Metrics::read(&page), top: serde_json::from_str(top).unwrap() }
    }

    const TOP: &str = r#"{"version":"0.1.0","status":"ok","over_ms":2000,"rooms":[
        {"room_id":"lobby","members":998,"sessions":1000,"messages":200,"deliveries":200000},
        {"room_id":"tea","members":2,"sessions":2,"messages":0,"deliveries":0}],
        "waiting":{"connections":1,"bytes":917504},
        "connections":[{"address":"192.0.2.7","waiting_bytes":917504,"blocked_ms":7300,
            "session_id":"910a2dec89025cc1","user_id":"slow-joe"}]}"#;

    const IDLE: &str = r#"{"version":"0.1.0","status":"stopping","over_ms":0,"rooms":[],
        "waiting":{"connections":0,"bytes":0},"connections":[]}"#;

    fn screen(top: &str) -> Screen {
        let (before, now) = (snapshot(3600, 1, top), snapshot(3602, 2, top));
        let mut screen = Screen { server: "127.0.0.1:8081".into(), ..Screen::default() };
        screen.show(Figures::between(&before, &before, &now));
        screen
    }

    fn drawn(screen: &Screen, width: u16, height: u16, colour: bool) -> Buffer {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(screen, Theme::new(colour), frame.area(), frame.buffer_mut())).unwrap();
        terminal.backend().buffer().clone()
    }

    #[test]
    fn eighty_by_twenty_four() {
        let expected = " salon 0.1.0  127.0.0.1:8081  up 1 h 0 min  ok                 rates over 2.0 s
                      a second         in all   connections   1,003
 connections               0.5          1,005   sessions      1,000
 messages in                50            200   users         998
 deliveries             50,000        200,000   rooms         2
 bytes in              5.9 KiB       23.4 KiB   loop busy     50.0 %
 bytes out             6.7 MiB       26.7 MiB   turn p99      ≤ 20 ms
 blocked writes              0              0   turn max      ≤ 20 ms
 rate limited                0              0   sent p50      ≤ 250 µs
 errors                      0              0   sent p99      ≤ 5 ms
 memory  outboxes 3.8 MiB  history 2.9 MiB
 ended   1006 lost 12 (+1)  1000 done 7  no pong cut off 2
 Rooms by fan-out                    members  sessions  messages/s ▼deliveries/s
 lobby                                   998     1,000         100       100,000
 tea                                       2         2           0             0






 Slowest (1: 896 KiB)        ▼waiting   blocked address         session
 slow-joe                     896 KiB     7.3 s 192.0.2.7       910a2dec89025cc1
 q quit   Tab other table   ↑↓ choose   Enter look into   s sort   p pause";
        assert_eq!(lines(&drawn(&screen(TOP), 80, 24, true)).join("\n"), expected);
    }

    /// Of a store on disk there is a line; what does not fit is what matters least.
    #[test]
    fn a_store_on_disk_has_a_line() {
        let mut screen = screen(TOP);
        let percentile = |name, bound| Percentile { name, at_most_s: Some(bound), over_s: None };
        let mut store = Store {
            failing: false,
            failures: 0,
            commits_per_second: 120.0,
            commits: vec![percentile("p50", 0.000_25), percentile("p99", 0.005), percentile("max", 1.0)],
            waiting: 3,
            waiting_bytes: 900,
            file_bytes: 5 << 20,
            file_limit_bytes: 10 << 30,
            dropped: 17,
        };
        for (failing, failures, expected) in [
            (
                false,
                0,
                " store   commits 120/s  p50 ≤ 250 µs  p99 ≤ 5 ms  waiting 3  file 5.0 MiB of 10.0 GiB  dropped 17",
            ),
            (true, 2, " store   FAILING  commits 120/s  p50 ≤ 250 µs  p99 ≤ 5 ms  waiting 3 ..."),
        ] {
            (store.failing, store.failures) = (failing, failures);
            screen.figures.as_mut().unwrap().store = Some(store.clone());
            let width = if failing { 80 } else { 120 };
            let drawn = drawn(&screen, width, 24, true);
            assert_eq!(lines(&drawn)[COUNTER_LINES + 1], expected);
            assert!(lines(&drawn)[COUNTER_LINES + 2].starts_with(" memory  outboxes"));
        }
    }

    #[test]
    fn every_size_is_drawn_and_small_ones_keep_the_title() {
        for (width, height) in [(1, 1), (20, 5), (40, 12), (79, 23), (80, 25), (159, 40), (160, 50), (300, 100)] {
            for top in [TOP, IDLE] {
                let mut screen = screen(top);
                let all = lines(&drawn(&screen, width, height, true));
                assert!(all[0].starts_with(" salon"[..usize::from(width).min(6)].trim_end()), "{width}x{height}");
                screen.subject = Some((Subject::Room("lobby".into()), Err("asking".into())));
                drawn(&screen, width, height, true);
            }
        }
        let wide = lines(&drawn(&screen(TOP), 160, 24, true));
        assert!(wide.iter().any(|line| line.contains("Rooms") && line.contains("Slowest")), "{wide:#?}");
    }

    /// No number is cut: a column stands there whole or not at all, and there is always a table.
    #[test]
    fn a_small_terminal_shows_less_and_nothing_by_half() {
        for (width, height, expected) in [
            (
                40,
                10,
                " salon  ok  127.0.0.1:8081
                      a second
 connections               0.5
 messages in                50
 deliveries             50,000
 Rooms by fan-out          ▼deliveries/s
 lobby                           100,000
 Slowest (1: 896 KiB)           ▼waiting
 slow-joe                        896 KiB
 q quit   Tab other table   ↑↓ choose",
            ),
            (
                60,
                12,
                " salon 0.1.0  127.0.0.1:8081  up 1 h 0 min  ok
                      a second   connections   1,003
 connections               0.5   sessions      1,000
 messages in                50   users         998
 deliveries             50,000   rooms         2
 bytes in              5.9 KiB   loop busy     50.0 %
 bytes out             6.7 MiB   turn p99      ≤ 20 ms
 Rooms by fan-out          members  messages/s ▼deliveries/s
 lobby                         998         100       100,000
 Slowest (1: 896 KiB)     ▼waiting   blocked address
 slow-joe                  896 KiB     7.3 s 192.0.2.7
 q quit   Tab other table   ↑↓ choose   Enter look into",
            ),
            (20, 5, " salon  ok  127.0.0.\n Rooms by fan-out\n lobby\n tea\n q quit"),
        ] {
            assert_eq!(lines(&drawn(&screen(TOP), width, height, true)).join("\n"), expected, "{width}x{height}");
        }
    }

    #[test]
    fn where_there_is_ascii_alone_nothing_else_is_drawn() {
        let mut screen = screen(TOP);
        screen.figures.as_mut().unwrap().rooms[0].room_id = "caf\u{e9}".into();
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
        let theme = Theme::new(true).in_ascii(true);
        terminal.draw(|frame| draw(&screen, theme, frame.area(), frame.buffer_mut())).unwrap();
        for all in [lines(terminal.backend().buffer()).join("\n"), text(&screen, true)] {
            assert!(all.is_ascii(), "{all}");
            for part in ["turn p99      <= 20 ms", " caf? ", "*deliveries/s"] {
                assert!(all.contains(part), "{part}: {all}");
            }
        }
    }

    #[test]
    fn without_colour_there_is_none() {
        let mut screen = screen(TOP);
        screen.error = Some("cannot be reached: no".into());
        let coloured = |colour| {
            let buffer = drawn(&screen, 80, 24, colour);
            buffer.content.iter().filter(|cell| (cell.fg, cell.bg) != (Color::Reset, Color::Reset)).count()
        };
        assert_eq!(coloured(false), 0);
        assert!(coloured(true) > 0);
    }

    #[test]
    fn a_server_that_is_away_is_told() {
        let mut screen = Screen { server: "127.0.0.1:8081".into(), ..Screen::default() };
        assert!(lines(&drawn(&screen, 80, 24, true))[0].ends_with("asking ..."));
        screen.error = Some("cannot be reached: Connection refused".into());
        let title = lines(&drawn(&screen, 80, 24, true)).remove(0);
        assert!(title.contains("127.0.0.1:8081") && title.ends_with("refused; trying again"), "{title}");
    }

    #[test]
    fn details() {
        let mut screen = screen(TOP);
        let detail = Detail {
            facts: vec![("name".into(), "Lobby".into())],
            list_of: "members",
            list: vec!["ann  online".into(), "bob  away".into()],
        };
        screen.subject = Some((Subject::Room("lobby".into()), Ok(detail)));
        let all = lines(&drawn(&screen, 80, 12, true)).join("\n");
        let expected = "
 room lobby
 name            Lobby
 sessions        1,000
 messages/s      100
 deliveries/s    100,000
 members: 2
 ann  online
 bob  away";
        assert!(all.contains(expected), "{all}");
        screen.scrolled = 1;
        assert!(!lines(&drawn(&screen, 80, 12, true)).join("\n").contains("ann"));
    }

    #[test]
    fn as_text_all_rows_are_there_and_nothing_else() {
        let text = text(&screen(TOP), false);
        assert!(text.starts_with(" salon 0.1.0  127.0.0.1:8081"), "{text}");
        assert!(text.contains("\n lobby ") && text.contains("\n tea ") && text.contains("slow-joe"), "{text}");
        assert!(text.ends_with("910a2dec89025cc1\n") && !text.contains('\u{1b}'), "{text}");
        assert!(super::text(&screen(IDLE), false).ends_with("nobody waits\n"));
    }

    #[test]
    fn items_are_packed() {
        let pack = |width, lines| packed(vec!["aaa".into(), "bbb".into(), "ccc".into()], width, lines).join("|");
        for (width, lines, expected) in [
            (80, 1, "aaa  bbb  ccc"),
            (13, 2, "aaa  bbb  ccc"),
            (12, 2, "aaa  bbb|ccc"),
            (12, 1, "aaa  bbb ..."),
            (3, 3, "aaa|bbb|ccc"),
            (3, 2, "aaa|bbb ..."),
        ] {
            assert_eq!(pack(width, lines), expected, "{width} {lines}");
        }
    }

    #[test]
    fn numbers_to_be_read() {
        for (value, expected) in [
            (0.0, "0"),
            (0.25, "0.2"),
            (9.96, "10.0"),
            (12.4, "12"),
            (999.0, "999"),
            (1000.0, "1,000"),
            (1_234_567.0, "1,234,567"),
        ] {
            assert_eq!(count(value), expected);
        }
        for (value, expected) in
            [(0.0, "0 B"), (1023.0, "1023 B"), (1536.0, "1.5 KiB"), (917_504.0, "896 KiB"), (5e12, "4.5 TiB")]
        {
            assert_eq!(bytes(value), expected);
        }
        for (value, expected) in
            [(0.5, "0.5 s"), (59.0, "59 s"), (61.0, "1 min"), (7260.0, "2 h 1 min"), (90_000.0, "1 d 1 h")]
        {
            assert_eq!(time(value), expected);
        }
    }
}
