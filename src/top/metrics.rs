//! `/metrics` read back: names, labels, values.
//!
//! Of Prometheus' text format it reads what Salon writes: one label at most, and no escapes in it.

/// The samples of `/metrics`.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Vec<Sample>);

#[derive(Clone, Debug)]
struct Sample {
    name: String,
    /// The value of the label, empty if there is none.
    label: String,
    value: f64,
}

impl Metrics {
    /// Reads a page; lines that are no samples are left out.
    pub fn read(page: &str) -> Self {
        let samples = page.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
            let (what, value) = line.rsplit_once(' ')?;
            let (name, label) = match what.split_once('{') {
                Some((name, rest)) => (name, rest.split('"').nth(1)?),
                None => (what, ""),
            };
            let value = value.parse().ok().filter(|value: &f64| value.is_finite())?;
            Some(Sample { name: name.into(), label: label.into(), value })
        });
        Self(samples.take(MAX_SAMPLES).collect())
    }

    /// A value without a label; 0 if there is none.
    pub fn value(&self, name: &str) -> f64 {
        self.labelled(name).find(|(label, _)| label.is_empty()).map_or(0.0, |(_, value)| value)
    }

    /// All values of a name with their labels, in order.
    pub fn labelled<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, f64)> + 'a {
        self.0.iter().filter(move |sample| sample.name == name).map(|sample| (&*sample.label, sample.value))
    }
}

/// The most that is kept of one page.
const MAX_SAMPLES: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples() {
        let page = "# HELP salon_rooms Rooms now.\n# TYPE salon_rooms gauge\nsalon_rooms 3\n\
            salon_memory_bytes{purpose=\"history\"} 1024\nsalon_memory_bytes{purpose=\"out boxes\"} 7\n\
            salon_turn_seconds_bucket{le=\"+Inf\"} 9\nsalon_uptime_seconds 1.5\nnonsense\nbad NaN\n";
        let metrics = Metrics::read(page);
        assert_eq!((metrics.value("salon_rooms"), metrics.value("salon_uptime_seconds")), (3.0, 1.5));
        assert_eq!((metrics.value("bad"), metrics.value("none")), (0.0, 0.0));
        let memory: Vec<_> = metrics.labelled("salon_memory_bytes").collect();
        assert_eq!(memory, [("history", 1024.0), ("out boxes", 7.0)]);
        assert_eq!(metrics.labelled("salon_turn_seconds_bucket").next(), Some(("+Inf", 9.0)));
    }
}
