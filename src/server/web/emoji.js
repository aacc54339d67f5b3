/**
 * Emoji by their names, as they are written between colons: a picture, and its names, the usual one first.
 */
const TABLE =
  "👍 thumbsup +1 yes|👎 thumbsdown -1 no|❤️ heart love|😂 joy laugh|🎉 tada party|🙏 pray thanks please|😀 grinning|" +
  "😃 smiley|😄 smile happy|😁 grin|😅 sweat_smile|🤣 rofl|🙂 slight_smile|🙃 upside_down|😉 wink|😊 blush|" +
  "😇 innocent angel|🥰 smiling_hearts|😍 heart_eyes|😘 kiss|😋 yum|😛 tongue|😜 winking_tongue|🤪 zany|🤗 hug|" +
  "🤔 thinking hmm|🤨 raised_eyebrow|😐 neutral|😑 expressionless|😶 no_mouth|🙄 eye_roll|😏 smirk|😬 grimace|" +
  "😮 open_mouth wow|😯 hushed|😲 astonished|😳 flushed|🥺 pleading|😢 cry sad|😭 sob|😱 scream|😴 sleeping|🥱 yawn|" +
  "😷 mask|🤒 thermometer sick|🤢 nauseated|🤯 exploding_head mind_blown|😎 sunglasses cool|🤓 nerd|🥳 partying|" +
  "😕 confused|🙁 frown|😞 disappointed|😤 triumph|😠 angry|😡 rage|🤬 cursing|💀 skull dead|💩 poop|🤡 clown|👻 ghost|" +
  "👽 alien|🤖 robot|😺 smiley_cat|🙈 see_no_evil|👋 wave hello bye|✋ raised_hand|👌 ok_hand|🤌 pinched|" +
  "✌️ victory peace|🤞 crossed_fingers luck|🤘 metal|👈 point_left|👉 point_right|👆 point_up|👇 point_down|✊ fist|" +
  "👊 punch|👏 clap bravo|🙌 raised_hands hooray|🤝 handshake deal|💪 muscle strong|🫡 salute|🤷 shrug|🤦 facepalm|" +
  "🙋 raising_hand|🏃 run|👀 eyes look|🧠 brain|🫶 heart_hands|💔 broken_heart|🧡 orange_heart|💛 yellow_heart|" +
  "💚 green_heart|💙 blue_heart|💜 purple_heart|🖤 black_heart|💯 100|💥 boom|💫 dizzy|💤 zzz|🔥 fire hot|✨ sparkles|" +
  "⭐ star|🌟 glowing_star|⚡ zap|☀️ sun|🌧️ rain|❄️ snow|🌈 rainbow|🌍 earth|🌱 seedling|🌳 tree|🌹 rose|🌻 sunflower|" +
  "🍀 clover|🐶 dog|🐱 cat|🐭 mouse|🐰 rabbit|🦊 fox|🐻 bear|🐼 panda|🐸 frog|🐔 chicken|🐧 penguin|🦄 unicorn|🐝 bee|🐛 bug|" +
  "🦋 butterfly|🐢 turtle|🐙 octopus|🦀 crab|🐳 whale|🍎 apple|🍌 banana|🍓 strawberry|🍋 lemon|🥑 avocado|🍅 tomato|" +
  "🌶️ pepper|🍞 bread|🧀 cheese|🍕 pizza|🍔 burger|🌮 taco|🍜 noodles|🍣 sushi|🍦 ice_cream|🍰 cake|🎂 birthday|🍪 cookie|" +
  "🍫 chocolate|☕ coffee|🍵 tea|🍺 beer|🍻 cheers|🍷 wine|⚽ soccer|🏀 basketball|🎾 tennis|🎯 dart target|🏆 trophy|" +
  "🥇 first|🎮 game|🎲 dice|🎸 guitar|🎵 music|🎨 art|🎬 movie|📷 camera|🚗 car|🚲 bike|🚂 train|✈️ airplane|" +
  "🚀 rocket ship_it|🏠 house home|🏖️ beach|⏰ alarm|⌛ hourglass|📅 calendar|📌 pin|📎 paperclip|📝 memo|📚 books|" +
  "📈 chart_up|📉 chart_down|📦 package|✉️ email|📣 megaphone|🔔 bell|🔒 lock|🔑 key|🔧 wrench|🔨 hammer|🔍 search|" +
  "💡 idea bulb|💻 laptop|📱 phone|🔋 battery|🧪 test|🐞 ladybug|💰 money|🎁 gift|🎈 balloon|✅ check done|☑️ checked|" +
  "❌ x wrong|❓ question|❗ exclamation|⚠️ warning|🚫 forbidden|🛑 stop|♻️ recycle|🆗 ok|🆕 new|➕ plus|➖ minus|" +
  "➡️ right|⬅️ left|⬆️ up|⬇️ down|🔄 refresh|🏁 finish|🏳️‍🌈 rainbow_flag";

/** @type {{picture: string, names: string[]}[]} */
export const EMOJI = TABLE.split("|").map((row) => {
  const [picture, ...names] = row.split(" ");
  return { picture, names, called: "" };
});

const bare = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

/** Takes what they are called in the language of the reader, in the order of the table. They keep their names. */
export function callEmoji(words) {
  for (const [at, called] of words.split("|").entries()) if (EMOJI[at]) EMOJI[at].called = called;
}

/** Those that a reaction is mostly made of. */
export const QUICK = EMOJI.slice(0, 6).map(({ picture }) => picture);

/** The emoji that have a text in their names, or in what they are called; those that begin with it first. */
export function findEmoji(text, most) {
  const wanted = text.toLowerCase();
  const spoken = bare(text);
  const rank = ({ names, called }) => {
    if (names.includes(wanted)) return 0;
    const words = bare(called);
    if (names.some((name) => name.startsWith(wanted)) || words.startsWith(spoken) || words.includes(` ${spoken}`)) return 1;
    return names.some((name) => name.includes(wanted)) || words.includes(spoken) ? 2 : 3;
  };
  return EMOJI.map((one, at) => ({ one, at, rank: rank(one) })).filter((found) => found.rank < 3)
    .sort((a, b) => a.rank - b.rank || a.at - b.at).slice(0, most).map(({ one }) => one);
}

const byName = new Map(EMOJI.flatMap(({ picture, names }) => names.map((name) => [name, picture])));
/** The emoji of a name, or undefined. */
export const emojiNamed = (name) => byName.get(name);
