/**
 * What is done with messages: edited, deleted, answered, reacted to, linked to, copied; and what their signs mean.
 * `node messages.mjs SALON_BINARY`; see run.sh.
 */
import path from "node:path";
import jsqr from "jsqr";
import { audit, begin, boxOf, composer, connected, enter, hashOf, newPage as openPage, say, sees, speak, texts, titled } from "./browser.mjs";
import { Server, check, equal, freePort, until } from "./harness.mjs";

const server = new Server(process.argv[2], await freePort(), "--rate", "off");
const { browser, pictures, run } = await begin(server);
const reader = jsqr.default ?? jsqr;
const newPage = (options = {}) => openPage(browser, { origin: `http://127.0.0.1:${server.port}`, ...options });
const seesNot = (page, text) => until(`“${text}” is gone`, async () => !(await texts(page)).includes(text));
const message = (page, text) => page.locator("#messages > li.message", { has: page.locator(".text", { hasText: text }) }).last();
const menu = async (page, text, what) => {
  // What is on its way has a line more, and all moves under the pointer when that goes.
  await until("nothing is on its way", async () => await message(page, text).count() === 1 && await page.locator(".pending").count() === 0);
  await message(page, text).hover();
  await page.locator("#bar-more").click();
  await page.locator("#message-menu").getByRole("button", { name: what, exact: true }).click();
};
/** Another device of somebody gives a message another text, or, for null, deletes it. */
const device = (page, user, room_id, before, content) => page.evaluate(async ({ user, room_id, before, content }) => {
  const { SalonClient } = await import("/client.js");
  const salon = new SalonClient({ url: `${location.origin.replace("http", "ws")}/ws`, user });
  await new Promise((resolve) => { salon.on("welcome", resolve); salon.connect(); });
  await salon.join(room_id);
  const { items } = await salon.history({ room_id }, { limit: 200 });
  const { seq } = items.find((item) => item.content === before);
  await (content === null ? salon.delete({ room_id }, seq) : salon.edit({ room_id }, seq, content));
  salon.close();
}, { user, room_id, before, content });
const toast = (page, words) => until(`it says “${words}”`, async () => (await page.locator("#toast").textContent()).startsWith(words));

/** The pixels of a picture, by the browser. */
const pixels = (page, png) => page.evaluate(async (base64) => {
  const picture = await createImageBitmap(await (await fetch(`data:image/png;base64,${base64}`)).blob());
  const canvas = new OffscreenCanvas(picture.width, picture.height);
  const drawn = canvas.getContext("2d");
  drawn.drawImage(picture, 0, 0);
  return { width: picture.width, height: picture.height, data: [...drawn.getImageData(0, 0, picture.width, picture.height).data] };
}, png.toString("base64"));

await run(async () => {
  const ada = await newPage({ permissions: ["clipboard-read", "clipboard-write"] });
  const bob = await newPage();
  await enter(ada, "Ada", "kitchen");
  await enter(bob, "Bob", "kitchen");
  for (const text of ["Good morning", "Is there tee?", "Not mine to edit"]) await say(text.startsWith("Not") ? bob : ada, text);
  for (const page of [ada, bob]) for (const text of ["Good morning", "Is there tee?", "Not mine to edit"]) await sees(page, text);

  await check("Up edits the last message of one's own, in place, for everybody; Escape leaves it as it is and brings the draft back", async () => {
    const node = await message(bob, "Is there tee?").elementHandle();
    await composer(ada).press("ArrowUp");
    // What is drawn is drawn with the next frame, and that may be late on a machine that is busy.
    await until("it is edited", async () => await composer(ada).inputValue() === "Is there tee?" && await ada.locator("#composer-context-text").textContent() === "You edit your message");
    await composer(ada).press("Escape");
    await until("it is left as it is", async () => await composer(ada).inputValue() === "" && !await ada.locator("#composer-context").isVisible());
    await composer(ada).press("ArrowUp");
    await composer(ada).fill("Is there tea?");
    await ada.keyboard.press("Enter");
    for (const page of [ada, bob]) await sees(page, "Is there tea?");
    equal([await composer(ada).inputValue(), await node.evaluate((li) => li.isConnected && li.querySelector(".text").classList.contains("edited"))], ["", true], "the composer, the node");
    equal((await texts(bob)).length, 3, "messages");
    // A text of nothing asks whether it is to go.
    await composer(ada).press("ArrowUp");
    await composer(ada).fill("");
    await composer(ada).fill(" ");
    await ada.keyboard.press("Escape");
    await bob.reload();
    await connected(bob);
    await sees(bob, "Is there tea?");
    equal(await message(bob, "Is there tea?").locator(".text.edited").count(), 1, "the mark after a reload");
  });

  await check("a draft waits while a message is edited", async () => {
    await composer(ada).fill("half a thought");
    await menu(ada, "Good morning", "Edit");
    equal(await composer(ada).inputValue(), "Good morning", "the composer");
    await composer(ada).fill("Good morning!");
    await ada.keyboard.press("Enter");
    await sees(bob, "Good morning!");
    await until("the draft is back", async () => (await composer(ada).inputValue()) === "half a thought");
    await composer(ada).fill("");
    await message(ada, "Not mine to edit").hover();
    equal(await ada.locator("#bar-edit").isVisible(), false, "a button to edit another's message");
  });

  await check("deleting asks first, and leaves the place of the message", async () => {
    await say(ada, "Said too soon");
    await sees(bob, "Said too soon");
    await menu(ada, "Said too soon", "Delete");
    await until("the careful answer has the focus", () => ada.evaluate(() => document.activeElement.id === "question-no"));
    await ada.keyboard.press("Enter");
    await sees(ada, "Said too soon");
    await menu(ada, "Said too soon", "Delete");
    await ada.locator("#question-yes").click();
    for (const page of [ada, bob]) {
      await seesNot(page, "Said too soon");
      await sees(page, "This message was deleted.");
    }
  });

  await check("the bar comes to a pointer that rests at a message when the server has it, and goes when nothing can be done", async () => {
    const bar = ada.locator("#message-bar");
    const at = (text) => ada.locator("#messages > li.message", { has: ada.locator(".text", { hasText: text }) });
    server.freeze();
    try {
      await say(ada, "On its way");
      await at("On its way").hover();
      equal(await bar.isVisible(), false, "the bar, while the message is on its way");
    } finally {
      server.thaw();
    }
    await bar.locator("#bar-edit").waitFor();
    await until("the bar is at it", async () => Math.abs((await bar.boundingBox()).y + 14 - (await at("On its way").boundingBox()).y) < 1);
    await say(bob, "Not for long");
    await at("Not for long").hover();
    await until("the bar is at what another has said", async () => await bar.isVisible() && !await bar.locator("#bar-edit").isVisible());
    await menu(bob, "Not for long", "Delete");
    await bob.locator("#question-yes").click();
    await bar.waitFor({ state: "hidden" });
  });

  await check("a reaction is a press, is counted with the names, and is taken back by another press", async () => {
    await message(ada, "Is there tea?").hover();
    await ada.locator("#bar-react").click();
    await ada.locator("#picker-input").fill("tea");
    await ada.screenshot({ path: path.join(pictures, "picker.png") });
    await ada.keyboard.press("Enter");
    const reaction = (page) => message(page, "Is there tea?").locator(".reaction");
    await until("Bob sees it", async () => (await reaction(bob).textContent()) === "🍵1");
    equal([await reaction(bob).getAttribute("title"), await reaction(bob).getAttribute("aria-pressed"), await reaction(ada).getAttribute("aria-pressed")], ["Ada", "false", "true"], "who, whose");
    await reaction(bob).click();
    await until("there are two", async () => (await reaction(ada).textContent()) === "🍵2");
    await bob.reload();
    await connected(bob);
    await until("after a reload too", async () => (await reaction(bob).textContent()) === "🍵2" && (await reaction(bob).getAttribute("aria-pressed")) === "true");
    await reaction(ada).click();
    await until("one is left", async () => (await reaction(bob).textContent()) === "🍵1");
    // Two clicks in haste are two, though the answer has drawn the reaction anew between them.
    await until("for her too", async () => (await reaction(ada).textContent()) === "🍵1");
    await reaction(ada).scrollIntoViewIfNeeded();
    const { x, y, width, height } = await boxOf(reaction(ada));
    await ada.mouse.move(x + width / 2, y + height / 2);
    for (const [clickCount, words] of [[1, "🍵2"], [2, "🍵1"]]) {
      await ada.mouse.down({ clickCount });
      await ada.mouse.up({ clickCount });
      await until(`there is ${words}`, async () => (await reaction(ada).textContent()) === words);
    }
    await bob.screenshot({ path: path.join(pictures, "reactions.png") });
  });

  await check("a reply has the message that it answers above it, which leads there, however far back", async () => {
    await say(bob, "The very question");
    await sees(ada, "The very question");
    for (let n = 0; n < 90; n += 1) await say(bob, `filler ${n}`);
    await sees(ada, "filler 89");
    await menu(bob, "filler 89", "Reply");
    await say(bob, "Answer to a filler");
    await sees(ada, "Answer to a filler");
    equal(await message(ada, "Answer to a filler").locator(".quote").textContent(), "Bobfiller 89", "the quote");
    // One that the window does not hold is asked for.
    await bob.evaluate(async () => {
      const { SalonClient } = await import("/client.js");
      const salon = new SalonClient({ url: `${location.origin.replace("http", "ws")}/ws`, user: "Far" });
      await new Promise((resolve) => { salon.on("welcome", resolve); salon.connect(); });
      await salon.join("kitchen");
      const { items } = await salon.history({ room_id: "kitchen" }, { limit: 200 });
      const { seq } = items.find(({ content }) => content === "The very question");
      await new Promise((resolve) => { salon.on("sent", resolve); salon.say("kitchen", "From afar", { reply_to: seq }); });
      salon.close();
    });
    const late = await newPage();
    await enter(late, "Late", "kitchen");
    const quote = message(late, "From afar").locator(".quote");
    await until("it is quoted", async () => (await quote.textContent()) === "BobThe very question");
    await quote.click();
    await until("it is in view", () => late.evaluate(() => {
      const node = [...document.querySelectorAll("#messages .text")].find(({ textContent }) => textContent === "The very question")?.closest("li");
      const log = document.getElementById("log").getBoundingClientRect();
      const { top, bottom } = node?.getBoundingClientRect() ?? {};
      return node?.classList.contains("shown") && top > log.top && bottom < log.bottom;
    }));
    await late.locator("#to-latest").click();
    await sees(late, "From afar");
    await late.context().close();
  });

  await check("a link to a message opens it in its place, for somebody who comes in by it, too", async () => {
    await menu(ada, /^filler 3$/, "Copy link");
    await toast(ada, "Link copied");
    const link = await ada.evaluate(() => navigator.clipboard.readText());
    const guest = await newPage();
    await guest.goto(link);
    await guest.locator("#door-name").fill("Guest");
    await guest.getByRole("button", { name: "Enter" }).click();
    await connected(guest);
    await titled(guest, "kitchen");
    const shown = (page) => until("it is shown", () => page.evaluate(() => document.querySelector("#messages > li.shown .text")?.textContent === "filler 3"));
    await shown(guest);
    equal(await hashOf(guest), "#room=kitchen", "the address");
    // In a page that is open.
    await say(guest, "/join attic");
    await titled(guest, "attic");
    await guest.evaluate((hash) => { location.hash = hash; }, new URL(link).hash);
    await titled(guest, "kitchen");
    await shown(guest);
    // Numbers of another epoch lead nowhere, and say so.
    await guest.evaluate(() => { location.hash = "#room=kitchen&at=3.00000000"; });
    await until("it says so", async () => (await guest.locator("#composer-problem").textContent()) === "The message of that link is no longer kept.");
    await guest.context().close();
  });

  await check("a link to a direct message leads both who can read it to it, also by the door, and nobody else anywhere", async () => {
    const lia = await newPage({ permissions: ["clipboard-read", "clipboard-write"] });
    const leo = await newPage();
    await enter(lia, "Lia", "porch");
    await enter(leo, "Leo", "porch");
    await say(lia, "/msg Leo between us");
    await sees(lia, "between us");
    await menu(lia, /^between us$/, "Copy link");
    await toast(lia, "Link copied");
    const link = await lia.evaluate(() => navigator.clipboard.readText());
    const shown = (page) => until("it is shown", () => page.evaluate(() => document.querySelector("#messages > li.shown .text")?.textContent === "between us"));
    const follow = (page) => page.evaluate((hash) => { location.hash = hash; }, new URL(link).hash);
    for (const [page, other] of [[lia, "Leo"], [leo, "Lia"]]) {
      await say(page, "/join attic");
      await titled(page, "attic");
      await follow(page);
      await titled(page, other);
      await shown(page);
      await page.goBack();
      await titled(page, "attic");
    }
    const device = await newPage();
    await device.goto(link);
    await device.locator("#door-name").fill("Leo");
    await device.getByRole("button", { name: "Enter" }).click();
    await device.getByRole("button", { name: "Yes, that is me" }).click();
    await connected(device);
    await titled(device, "Lia");
    await shown(device);
    const third = await newPage();
    await enter(third, "Third", "porch");
    await follow(third);
    await until("it says so", async () => (await third.locator("#composer-problem").textContent()) === "That link leads to a message between two other people.");
    await titled(third, "porch");
    for (const page of [lia, leo, device, third]) await page.context().close();
  });

  await check("code, bold, italic, struck out, quotes and lists are shown as meant, and copied as written", async () => {
    const written = "**bold** *it* ~~no~~ `x < y`\n> wise words\n- one\n- two\n```js\nconst a = 1; // <b>\n\tif (a) b();\n```\nend https://example.org/ @Bob";
    await composer(ada).fill(written);
    await ada.keyboard.press("Enter");
    await sees(bob, written);
    const text = message(bob, "wise words").locator(".text");
    equal(await text.evaluate((node) => ["strong", "em", "s", ":not(pre) > code", "blockquote", ".list-item", "pre code", "a", ".call.called"].map((what) => node.querySelectorAll(what).length)), [1, 1, 1, 1, 1, 2, 1, 1, 1], "elements");
    equal(await text.locator("pre code").textContent(), "const a = 1; // <b>\n\tif (a) b();\n", "the code");
    await bob.screenshot({ path: path.join(pictures, "markup.png") });
    const copied = await bob.evaluate((select) => {
      document.activeElement.blur();
      const range = document.createRange();
      range.selectNodeContents([...document.querySelectorAll("#messages .text")].find(({ textContent }) => textContent.includes(select)));
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      const event = new ClipboardEvent("copy", { clipboardData: new DataTransfer(), bubbles: true, cancelable: true });
      document.dispatchEvent(event);
      return event.clipboardData.getData("text/plain");
    }, "wise words");
    equal(copied, written, "what is copied");
    // No line more is shown than is meant.
    const lines = await text.evaluate((node) => node.getBoundingClientRect().height);
    if (lines > 280) throw new Error(`the message is ${lines} px high`);
  });

  await check("what is copied from several messages says who said it and when", async () => {
    const copied = await bob.evaluate(() => {
      document.activeElement.blur();
      const all = [...document.querySelectorAll("#messages > li.message .text")].filter(({ textContent }) => /^filler 8[678]$/.test(textContent));
      const range = document.createRange();
      range.setStart(all[0], 0);
      range.setEnd(all[2], all[2].childNodes.length);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      const event = new ClipboardEvent("copy", { clipboardData: new DataTransfer(), bubbles: true, cancelable: true });
      document.dispatchEvent(event);
      return event.clipboardData.getData("text/plain");
    });
    if (!/^Bob \d\d:\d\d\nfiller 86\n\nBob \d\d:\d\d\nfiller 87\n\nBob \d\d:\d\d\nfiller 88$/u.test(copied)) throw new Error(copied);
  });

  await check("so does what the pointer selects from above the messages, or to below them, or with all of the page", async () => {
    const room = await newPage({ permissions: ["clipboard-read", "clipboard-write"] });
    await enter(room, "Copyist", "scriptorium");
    for (const text of ["first", "second"]) await say(room, text);
    await sees(room, "second");
    const expected = /^Copyist \d\d:\d\d\nfirst\n\nCopyist \d\d:\d\d\nsecond$/u;
    const copied = async (how) => {
      await room.evaluate(() => navigator.clipboard.writeText(""));
      await room.keyboard.press("Control+c");
      const text = await room.evaluate(() => navigator.clipboard.readText());
      if (!expected.test(text)) throw new Error(`${how}: ${JSON.stringify(text)}`);
    };
    const title = await boxOf(room.locator("#log-start .hello-text").first());
    const last = await boxOf(message(room, "second").locator(".text"));
    await room.mouse.move(title.x + 1, title.y + 4);
    await room.mouse.down();
    await room.mouse.move(last.x + 200, last.y + 10, { steps: 8 });
    await room.mouse.up();
    await copied("from above");
    await room.locator("#log").focus();
    await room.keyboard.press("Control+a");
    await copied("all");
    await room.context().close();
  });

  await check("long code folds, unfolds and is copied alone", async () => {
    await composer(ada).fill(`\`\`\`\n${Array.from({ length: 30 }, (_, n) => `row ${n}`).join("\n")}\n\`\`\``);
    await ada.keyboard.press("Enter");
    const box = message(ada, "row 29").locator(".code-box");
    const height = () => box.evaluate((node) => node.getBoundingClientRect().height);
    await until("it is folded", async () => await box.count() === 1 && await height() < 320);
    await box.getByRole("button", { name: "Show all 30 lines" }).click();
    await until("it is whole", async () => await height() > 600);
    await box.hover();
    await box.getByRole("button", { name: "Copy code" }).click();
    await toast(ada, "Code copied");
    equal((await ada.evaluate(() => navigator.clipboard.readText())).split("\n").length, 30, "lines");
  });

  await check(":name: proposes an emoji, also amid a text, and a name is proposed there too", async () => {
    await composer(ada).fill("");
    await composer(ada).pressSequentially("so :rock");
    await until("it is proposed", async () => (await ada.locator("#suggestions .suggestion-label").first().textContent()).startsWith("🚀"));
    await ada.keyboard.press("Enter");
    equal(await composer(ada).inputValue(), "so 🚀 ", "the composer");
    await composer(ada).fill("ask  about it");
    await composer(ada).evaluate((input) => input.setSelectionRange(4, 4));
    await composer(ada).pressSequentially("@bo");
    await until("Bob is proposed", async () => (await ada.locator("#suggestions:not([hidden]) .suggestion-label").allTextContents()).includes("Bob"));
    await ada.keyboard.press("Enter");
    equal([await composer(ada).inputValue(), await composer(ada).evaluate((input) => input.selectionEnd)], ["ask @Bob about it", 9], "the composer, the caret");
    await composer(ada).fill("");
  });

  await check("a text that is too long is sent in parts, cut between lines", async () => {
    const rows = Array.from({ length: 400 }, (_, n) => `row ${n} ${"word ".repeat(10)}`.trim());
    await composer(ada).fill(rows.join("\n"));
    await ada.getByRole("button", { name: "Send in parts" }).click();
    await until("the composer is empty", async () => (await composer(ada).inputValue()) === "");
    await until("all of it arrived", async () => (await texts(bob)).slice(-2).join("\n") === rows.join("\n"));
  });

  await check("a text that is sent in parts is cut through no family, no flag, no skin and no letter with its marks", async () => {
    for (const sign of ["👨‍👩‍👧‍👦", "🇩🇪", "👍🏽", "e\u0301\u0323\u0302"]) for (const before of ["", "a", "ab", "abc"]) {
      const text = before + sign.repeat(Math.ceil(20_000 / Buffer.byteLength(sign)));
      await composer(ada).fill(text);
      await ada.getByRole("button", { name: "Send in parts" }).click();
      await until("the composer is empty", async () => (await composer(ada).inputValue()) === "");
      await until("all of it arrived", async () => (await texts(bob)).slice(-2).join("") === text);
      const parts = (await texts(bob)).slice(-2);
      equal([parts[0].endsWith(sign), parts[1].startsWith(sign)], [true, true], `the ends of the parts of ${sign}`);
    }
    // Nor are the words of a message that is to be deleted, or answered.
    const text = `${"x".repeat(119)}👨‍👩‍👧‍👦${"y".repeat(67)}👨‍👩‍👧‍👦 and on`;
    await say(ada, text);
    await menu(ada, text, "Delete");
    equal(await ada.locator("#question-text").textContent(), `${"x".repeat(119)} …`, "the question");
    await ada.locator("#question-no").click();
    await menu(ada, text, "Reply");
    const answered = `You answer Ada: ${text.slice(0, text.lastIndexOf("👨"))}`;
    await until("it is answered", async () => await ada.locator("#composer-context-text").textContent() === answered);
    await composer(ada).press("Escape");
  });

  await check("what was written in an edit that Escape has ended comes back with the next edit of the message, and can be undone there", async () => {
    await say(ada, "Words to be weighed");
    await sees(bob, "Words to be weighed");
    await composer(ada).press("ArrowUp");
    await until("it is edited", async () => (await composer(ada).inputValue()) === "Words to be weighed");
    await ada.keyboard.type(", and weighed again");
    await ada.keyboard.press("Escape");
    await toast(ada, "Not saved. What you wrote comes back");
    await until("the composer is empty", async () => (await composer(ada).inputValue()) === "");
    await composer(ada).press("ArrowUp");
    await until("it is back", async () => (await composer(ada).inputValue()) === "Words to be weighed, and weighed again");
    await ada.keyboard.press("Control+z");
    await until("it is undone", async () => (await composer(ada).inputValue()) === "Words to be weighed");
    await ada.keyboard.press("Control+Shift+z");
    await until("it is done again", async () => (await composer(ada).inputValue()) === "Words to be weighed, and weighed again");
    await ada.keyboard.press("Enter");
    await sees(bob, "Words to be weighed, and weighed again");
    await until("the composer is empty", async () => (await composer(ada).inputValue()) === "");
    await composer(ada).press("ArrowUp");
    await until("what is saved is edited", async () => (await composer(ada).inputValue()) === "Words to be weighed, and weighed again");
    await composer(ada).press("Escape");
  });

  await check("an edit is not saved over one that another device of the same person has made meanwhile without a question", async () => {
    await say(ada, "Said by one device");
    await sees(bob, "Said by one device");
    await composer(ada).press("ArrowUp");
    await until("it is edited", async () => (await composer(ada).inputValue()) === "Said by one device");
    await ada.keyboard.type(", and by it again");
    await device(ada, "Ada", "kitchen", "Said by one device", "Said by the other one");
    await sees(ada, "Said by the other one");
    await composer(ada).press("Enter");
    await until("it is asked", async () => (await ada.locator("#question[open] #question-text").textContent()) === "Said by the other one");
    equal(await ada.locator("#question-title").textContent(), "You have changed this message elsewhere meanwhile. Save over it?", "the question");
    await ada.keyboard.press("Enter"); // the careful answer
    await ada.locator("#question").waitFor({ state: "hidden" });
    equal([(await texts(bob)).at(-1), await composer(ada).inputValue()], ["Said by the other one", "Said by one device, and by it again"], "the message, the composer");
    equal(await ada.evaluate(() => document.activeElement.id), "composer-input", "the focus");
    await composer(ada).press("Enter");
    await ada.locator("#question-yes").click();
    await sees(bob, "Said by one device, and by it again");
    await until("the composer is empty", async () => (await composer(ada).inputValue()) === "");
  });

  /** Somebody who has said something in a room of their own, and edits it. */
  const editor = async (name, said, typed) => {
    const page = await newPage();
    await enter(page, name, `of ${name}`);
    await say(page, said);
    await sees(page, said);
    await composer(page).press("ArrowUp");
    await until("it is edited", async () => (await composer(page).inputValue()) === said);
    await page.keyboard.type(typed);
    return page;
  };
  const asked = (page, title, text) => until(`it is asked: ${title} ${text}`, async () => {
    const [open, ...words] = [await page.locator("#question[open]").count(), await page.locator("#question-title").textContent(), await page.locator("#question-text").textContent()];
    if (open !== 1 || words[0] !== title || words[1] !== text) throw new Error(`${open} ${words}`);
    return true;
  });
  const ELSEWHERE = "You have changed this message elsewhere meanwhile. Save over it?";

  await check("nor is it where the message is further back than the page holds", async () => {
    const page = await editor("Faraway", "Said long ago", ", and mended here");
    await speak(page, "Bob", { room_id: "of Faraway" }, Array.from({ length: 60 }, (_, n) => `later ${n}\nand\non`));
    await sees(page, "later 59\nand\non");
    await page.reload();
    await connected(page);
    await sees(page, "later 59\nand\non");
    await until("the edit goes on", async () => (await composer(page).inputValue()) === "Said long ago, and mended here");
    equal((await texts(page)).includes("Said long ago"), false, "the window has the message");
    await device(page, "Faraway", "of Faraway", "Said long ago", "Mended elsewhere");
    await speak(page, "Bob", { room_id: "of Faraway" }, ["behind that"]);
    await sees(page, "behind that"); // and so the change has been heard
    await until("it is asked", () => page.evaluate(() => {
      const isAsked = document.getElementById("question").open;
      if (!isAsked) document.getElementById("composer").requestSubmit(); // until it is known what the message says
      return isAsked;
    }));
    await asked(page, ELSEWHERE, "Mended elsewhere");
    await page.locator("#question-yes").click();
    await until("it is saved", async () => (await composer(page).inputValue()) === "");
    await page.context().close();
  });

  await check("nor is what another device has written deleted by an edit that leaves nothing", async () => {
    const page = await editor("Emptied", "To be emptied", "");
    await device(page, "Emptied", "of Emptied", "To be emptied", "Filled elsewhere");
    await sees(page, "Filled elsewhere");
    await composer(page).fill("");
    await page.keyboard.press("Enter");
    await asked(page, ELSEWHERE, "Filled elsewhere");
    await page.locator("#question-yes").click();
    await asked(page, "Delete your message?", "Nothing is left of it.");
    await page.locator("#question-no").click();
    await sees(page, "Filled elsewhere");
    await page.context().close();
  });

  await check("a change by another device while that is asked is asked about too; a long text leaves the question in view", async () => {
    const page = await editor("Twice", "Changed twice", ", and here");
    for (const long of [Array.from({ length: 60 }, (_, n) => `line ${n}`).join("\n"), `first${"\n".repeat(110)}and the last`]) {
      await device(page, "Twice", "of Twice", (await texts(page)).at(-1), long);
      await sees(page, long);
      await composer(page).press("Enter");
      await page.locator("#question[open]").waitFor();
      const { y } = await boxOf(page.locator("#question-title"));
      equal(y > 0, true, `the question is in view at ${y} px`);
      // It is asked anew in the same moment: the browser tells of the end of the first question behind that.
      await page.evaluate(() => {
        const ended = new Promise((resolve) => document.getElementById("question").addEventListener("close", resolve, { once: true }));
        document.getElementById("question-no").click();
        document.getElementById("composer").requestSubmit();
        return ended;
      });
      await asked(page, ELSEWHERE, `${long.slice(0, 120)} …`);
      if (long.startsWith("line")) await page.locator("#question-no").click();
    }
    await device(page, "Twice", "of Twice", (await texts(page)).at(-1), "Changed once more");
    await sees(page, "Changed once more");
    await page.locator("#question-yes").click();
    await asked(page, ELSEWHERE, "Changed once more");
    await page.locator("#question-yes").click();
    await sees(page, "Changed twice, and here");
    await until("the composer is empty", async () => (await composer(page).inputValue()) === "");
    await page.context().close();
  });

  await check("somebody who types on while an edit is saved is asked nothing about it", async () => {
    const page = await editor("Hasty", "Said in haste", ", saved");
    server.freeze();
    try {
      await page.keyboard.press("Enter");
      await page.keyboard.type(", and on");
    } finally {
      server.thaw();
    }
    await until("it says so", async () => (await page.locator("#composer-problem").textContent()).startsWith("Saved. What you have written since then"));
    await sees(page, "Said in haste, saved");
    await page.keyboard.press("Enter");
    await until("the composer is empty, or it is asked", async () => (await composer(page).inputValue()) === "" || await page.locator("#question[open]").count() === 1);
    equal(await page.locator("#question[open]").count(), 0, "questions");
    await sees(page, "Said in haste, saved, and on");
    await page.context().close();
  });

  await check("a kept edit that is taken back is kept no longer, and the edit of another message or an answer is no place for it", async () => {
    const page = await editor("Keeper", "The first one", ", mended");
    const is = (text) => until(`“${text}” is in the message box`, async () => await composer(page).inputValue() === text || Promise.reject(new Error(await composer(page).inputValue())));
    await page.keyboard.press("Escape");
    await is("");
    await page.keyboard.press("ArrowUp");
    await is("The first one, mended");
    await composer(page).fill("The first one");
    await page.keyboard.press("Escape");
    await is("");
    await page.keyboard.press("ArrowUp");
    await is("The first one");
    for (const what of ["Edit", "Reply"]) {
      await page.keyboard.press("Escape");
      await is("");
      await say(page, `Another one for ${what}`);
      await sees(page, `Another one for ${what}`);
      await menu(page, /^The first one$/u, "Edit");
      await is("The first one");
      await page.keyboard.type(", mended again");
      await menu(page, `Another one for ${what}`, what);
      await is(what === "Edit" ? "Another one for Edit" : "");
      await page.keyboard.press("Escape");
      await is("");
      await menu(page, /^The first one$/u, "Edit");
      await is("The first one, mended again");
      await composer(page).fill("");
    }
    await page.context().close();
  });

  await check("the focus is where one writes when a dialog goes that the pointer has opened at a message", async () => {
    for (const text of ["a", "b"]) await say(ada, Array.from({ length: 29 }, (_, n) => `${text}${n}`).join("\n"));
    await say(ada, "Under the pointer");
    await sees(ada, "Under the pointer");
    const isThere = () => until("one can write", async () => await ada.evaluate(() => document.activeElement.id) === "composer-input");
    await menu(ada, "Under the pointer", "Delete");
    await ada.locator("#question-no").click();
    await isThere();
    await message(ada, "Under the pointer").hover();
    await ada.locator("#bar-link").click();
    await toast(ada, "Link copied");
    await ada.evaluate(() => { document.getElementById("log").scrollTop = 0; });
    await ada.locator("#message-bar").waitFor({ state: "hidden" });
    await isThere();
    await ada.locator("#to-latest").click();
    await menu(ada, "Under the pointer", "Mark unread from here");
    await isThere();
    await say(ada, "And on");
  });

  await check("the keyboard in the bar of a message that goes out of view, or is deleted, does not go to what is being written", async () => {
    const page = await newPage();
    await enter(page, "Keys", "bars");
    await speak(page, "Bob", { room_id: "bars" }, ["Never sent"]);
    const inBar = async (text) => {
      await sees(page, text);
      await composer(page).fill("not yet to be said");
      await page.locator("#log").focus();
      await page.keyboard.press("ArrowUp");
      await until("the message has the focus", () => page.evaluate((text) => document.activeElement.querySelector?.(":scope .text")?.textContent === text, text));
      await until("the bar has it", async () => {
        await page.keyboard.press("Tab");
        return page.evaluate(() => document.activeElement.closest("#message-bar") !== null);
      });
    };
    const isKept = async () => {
      await page.keyboard.press("Enter");
      equal(await composer(page).inputValue(), "not yet to be said", "the composer");
    };
    // A pointer that rests, and under which the messages move, takes the bar from no key.
    await page.mouse.move(600, 500);
    await inBar("Never sent");
    await speak(page, "Bob", { room_id: "bars" }, Array.from({ length: 40 }, (_, n) => `further ${n}`));
    await sees(page, "further 39");
    await page.locator("#message-bar").waitFor({ state: "hidden" });
    equal(await page.evaluate(() => document.activeElement.querySelector?.(":scope .text")?.textContent), "Never sent", "the message with the focus");
    await isKept();
    await page.keyboard.press("Escape"); // its menu
    await speak(page, "Keys", { room_id: "bars" }, ["Soon gone"]);
    await inBar("Soon gone");
    await device(page, "Keys", "bars", "Soon gone", null);
    await page.locator("#message-bar").waitFor({ state: "hidden" });
    await isKept();
    equal((await texts(page)).includes("not yet to be said"), false, "the draft is said");
    await page.context().close();
  });

  await check("Escape ends an edit, and not the answer that was begun before it", async () => {
    await say(bob, "A question to be answered once");
    await sees(ada, "A question to be answered once");
    await ada.locator("#log").focus();
    await ada.keyboard.press("ArrowUp");
    await message(ada, "A question to be answered once").focus();
    await ada.keyboard.press("r");
    const context = () => ada.locator("#composer-context:not([hidden]) #composer-context-text").textContent();
    await menu(ada, "Is there tea?", "Edit");
    await until("it is edited", async () => (await context()) === "You edit your message");
    await composer(ada).press("Escape");
    await until("the answer goes on", async () => (await context()) === "You answer Bob: A question to be answered once");
    await composer(ada).press("Escape");
  });

  await check("the keyboard alone: from the log to a message, its menu, and back", async () => {
    await say(ada, "By keys");
    await sees(ada, "By keys");
    await ada.locator("#log").focus();
    await ada.keyboard.press("ArrowUp");
    await until("the last message has the focus", () => ada.evaluate(() => document.activeElement.matches("li.message") && document.activeElement.textContent.includes("By keys")));
    await ada.keyboard.press("e");
    await until("it is edited", async () => (await composer(ada).inputValue()) === "By keys");
    await ada.keyboard.press("Escape");
    await ada.locator("#log").focus();
    await ada.keyboard.press("ArrowUp");
    await ada.keyboard.press("Enter");
    await until("the menu is open", () => ada.evaluate(() => document.activeElement.closest("#message-menu") !== null));
    await ada.keyboard.press("Escape");
    await ada.locator("#message-menu").waitFor({ state: "hidden" });
  });

  await check("a long press opens the menu, and on a phone Enter makes a line", async () => {
    const phone = await newPage({ viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true });
    await enter(phone, "Phone", "kitchen");
    await sees(phone, "By keys");
    await composer(phone).fill("one");
    await composer(phone).press("Enter");
    await composer(phone).pressSequentially("two");
    equal(await composer(phone).inputValue(), "one\ntwo", "the composer");
    await phone.locator("#send").tap();
    for (const page of [ada, phone]) await sees(page, "one\ntwo"); // while it is sent, all that is above moves
    const { x, y } = await boxOf(message(phone, "By keys").locator(".text"));
    const touch = await phone.context().newCDPSession(phone);
    // Away from the author's name: a finger near a button is one on it, for Chromium.
    await touch.send("Input.dispatchTouchEvent", { type: "touchStart", touchPoints: [{ x: x + 120, y: y + 5 }] });
    await phone.locator("#message-menu[open]").waitFor();
    await touch.send("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] });
    await phone.screenshot({ path: path.join(pictures, "phone-menu.png") });
    await phone.context().close();
  });

  await check("Enter within code of several lines makes a line, and behind its end it sends", async () => {
    const page = await newPage();
    await enter(page, "Coder", "code");
    await composer(page).click();
    const lines = ["```js", "let a = 1;", "", "```"];
    for (const [n, line] of lines.entries()) {
      await page.keyboard.type(line);
      equal(await composer(page).inputValue(), lines.slice(0, n + 1).join("\n"), `before Enter ${n + 1}`);
      await page.keyboard.press("Enter");
    }
    await sees(page, lines.join("\n"));
    equal(await composer(page).inputValue(), "", "the composer");
    // One line of code is a line; and who does not want an end sends with Ctrl.
    await say(page, "```one```");
    await sees(page, "```one```");
    await page.keyboard.type("```open");
    await page.keyboard.press("Control+Enter");
    await sees(page, "```open");
    await page.context().close();
  });

  await check("within code the hint says what Enter does and how to save, also when it is a message that is edited", async () => {
    const page = await newPage({ locale: "en-GB" });
    await enter(page, "Editor", "code");
    await say(page, "```");
    await page.keyboard.press("Control+Enter");
    for (let n = 1; n < 5; n += 1) await say(page, `plain ${n}`); // the hint for the first messages goes
    const hint = page.locator("#composer-hint");
    const says = (words) => until(`it says ${words}`, async () => (await hint.isVisible() && (await hint.textContent())) === words || Promise.reject(new Error(await hint.textContent())));
    await until("there is none", () => hint.isHidden());
    await composer(page).fill("```js");
    await says("Enter begins a new line of code, Ctrl + Enter: Send");
    await page.keyboard.press("Home");
    await until("before the code there is none", () => hint.isHidden());
    await composer(page).fill("");
    await sees(page, "plain 4");
    await page.keyboard.press("ArrowUp");
    await page.locator("#composer-context:not([hidden])").waitFor();
    await composer(page).fill("```js\nlet a = 1;");
    await says("Enter begins a new line of code, Ctrl + Enter: Save");
    await page.keyboard.press("Enter");
    equal(await composer(page).inputValue(), "```js\nlet a = 1;\n", "the composer");
    await page.keyboard.press("Control+Enter");
    await sees(page, "```js\nlet a = 1;");
    await until("there is none behind it", () => hint.isHidden());
    await page.context().close();
  });

  await check("a finger that is lifted after it has held a message clicks nothing of what has opened under it", async () => {
    const phone = await newPage({ viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true });
    await enter(phone, "Holder", "full");
    await speak(phone, "Zoe", { room_id: "full" }, Array.from({ length: 20 }, (_, n) => `line ${n} of a page that is full of them`));
    await sees(phone, "line 19 of a page that is full of them");
    const touch = await phone.context().newCDPSession(phone);
    // A finger that is lifted ends in a `mousedown`: by then it has clicked, or not.
    await phone.evaluate(() => window.addEventListener("mousedown", () => setTimeout(() => { window.lifted = (window.lifted ?? 0) + 1; }), true));
    const there = await boxOf(phone.locator("#log"));
    const onMenu = [];
    for (const [n, part] of [0.3, 0.4, 0.5, 0.6, 0.7].entries()) {
      const [x, y] = [200, there.y + there.height * part];
      await touch.send("Input.dispatchTouchEvent", { type: "touchStart", touchPoints: [{ x, y }] });
      await phone.locator("#message-menu[open]").waitFor();
      onMenu.push(await phone.evaluate(([x, y]) => document.elementFromPoint(x, y).closest("#message-menu button") !== null, [x, y]));
      await touch.send("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] });
      await until("the finger is lifted", async () => (await phone.evaluate(() => window.lifted)) === n + 1);
      equal([await phone.locator("#message-menu").isVisible(), await phone.locator("#composer-context").isVisible()], [true, false], `the menu and an answer, at ${part} of the log`);
      await phone.keyboard.press("Escape");
      await phone.locator("#message-menu:not([open])").waitFor({ state: "attached" });
    }
    equal(onMenu.includes(true), true, "the finger was on an entry");
    // The next finger is meant.
    await touch.send("Input.dispatchTouchEvent", { type: "touchStart", touchPoints: [{ x: 200, y: there.y + there.height * 0.5 }] });
    await phone.locator("#message-menu[open]").waitFor();
    await touch.send("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] });
    await phone.locator("#message-menu").getByRole("button", { name: "Reply" }).tap();
    await phone.locator("#composer-context:not([hidden])").waitFor();
    await phone.context().close();
  });

  await check("a message that is pulled to the side is answered; one that is pulled a little, up or down is not, and from the edge the rooms are pulled out", async () => {
    const phone = await newPage({ viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true });
    await enter(phone, "Puller", "kitchen");
    await sees(phone, "By keys");
    const touch = await phone.context().newCDPSession(phone);
    const pulledFar = () => phone.locator(".message.pulled.enough").count();
    const pull = async ([fromX, dx, dy = 0], height, enough = 0) => {
      let pulled;
      // A browser that is busy may take it for a finger that rests, which asks for the menu: people pull again.
      await until(`it is pulled by ${dx}`, async () => {
        if (await phone.locator("#message-menu[open]").count()) await phone.keyboard.press("Escape");
        const y = height ?? await message(phone, "By keys").locator(".text").evaluate((text) => {
          text.scrollIntoView({ block: "center" });
          return text.getBoundingClientRect().y;
        });
        const at = (part) => [{ x: fromX + dx * part, y: y + 6 + dy * part }];
        // One behind the other, and none waits for us.
        await Promise.all([0, 0.2, 0.4, 0.6, 0.8, 1].map((part) => touch.send("Input.dispatchTouchEvent", { type: part ? "touchMove" : "touchStart", touchPoints: at(part) })));
        if (enough) await until("it is pulled far enough", async () => await pulledFar() === enough, 2_000).catch(() => {});
        pulled = await pulledFar();
        await touch.send("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] });
        return pulled >= enough;
      });
      equal(await phone.locator(".message.pulled").count(), 0, "messages that stay pulled");
      return pulled;
    };
    const context = phone.locator("#composer-context");
    for (const way of [[120, 40], [120, -100], [120, 20, 60]]) {
      await pull(way);
      equal(await context.isHidden(), true, `answered by ${way}`);
    }
    equal(await pull([120, 110], undefined, 1), 1, "a message that is pulled far enough");
    await until("it is answered", async () => (await context.textContent()).includes(": By keys"));
    // From the edge the list of rooms is pulled out, and back in; a message is not.
    // A browser that is busy may take a tap right behind a pull for a part of that gesture: people tap again.
    await until("the answer is given up", async () => {
      await phone.locator("#composer-context-end").tap({ timeout: 1_000 }).catch(() => {}); // it may be gone by now
      return context.isHidden();
    });
    const rooms = () => phone.evaluate(() => document.getElementById("app").dataset.drawer ?? "");
    let n = 0;
    for (const [way, shown] of [[[10, 30], ""], [[10, 20, 60], ""], [[10, 120], "places"], [[200, 60], "places"], [[200, -30], "places"], [[200, -120], ""], [[10, 120], "places"]]) {
      await pull(way, 300); // up or down, it moves the messages
      equal(await context.isHidden(), true, `${n + 1}: no message is answered by ${way}`);
      await until(`${n += 1}: pulled by ${way}, the drawer is “${shown}”`, async () => await rooms() === shown || Promise.reject(new Error(await rooms())));
    }
    equal(await context.isHidden(), true, "no message is answered by that");
    await phone.goBack();
    await until("Back closes it", async () => await rooms() === "");
    await phone.context().close();
  });

  await check("the address of a room as a QR code: a camera reads it, in dark too, and Escape closes it", async () => {
    for (const [colorScheme, width, height] of [["light", 360, 740], ["dark", 1440, 900]]) {
      const page = await newPage({ colorScheme, viewport: { width, height }, bypassCSP: true, reducedMotion: "reduce" });
      await enter(page, `Host ${colorScheme}`, "café");
      await page.getByRole("button", { name: "QR code", exact: true }).first().click();
      await page.locator("#qr[open]").waitFor();
      equal(await page.evaluate(() => document.activeElement.id), "qr-close", "the focus");
      const { width: wide, height: high, data } = await pixels(page, await page.locator("#qr-code svg").screenshot());
      equal(reader(Uint8ClampedArray.from(data), wide, high)?.data, `${page.origin}/#room=caf%C3%A9`, "what is read");
      await page.screenshot({ path: path.join(pictures, `qr-${colorScheme}.png`) });
      await audit(page, `the code, ${colorScheme}`);
      await page.keyboard.press("Escape");
      await page.locator("#qr").waitFor({ state: "hidden" });
      await page.context().close();
    }
  });

  for (const [colorScheme, width, height] of [["light", 360, 740], ["dark", 360, 740], ["light", 1440, 900], ["dark", 1440, 900]]) {
    await check(`axe finds nothing, ${colorScheme}, ${width} px: messages with all that can be on them, the menu, the picker, a question`, async () => {
      const page = await newPage({ colorScheme, viewport: { width, height }, bypassCSP: true, reducedMotion: "reduce" });
      await page.addInitScript((name) => localStorage.setItem("salon.name", JSON.stringify(name)), `Axe ${colorScheme} ${width}`);
      await page.goto(`${page.origin}/#room=kitchen`);
      await connected(page);
      await say(page, "**bold** `code`\n> quote\n```\ncode\n```\n- one @Bob");
      await sees(page, "**bold** `code`\n> quote\n```\ncode\n```\n- one @Bob");
      const looked = async (name) => {
        await page.screenshot({ path: path.join(pictures, `messages-${name}-${colorScheme}-${width}.png`) });
        await audit(page, name);
      };
      await page.locator("#log").focus();
      await page.keyboard.press("ArrowUp");
      await looked("page");
      await page.keyboard.press("Enter");
      await looked("menu");
      await page.keyboard.press("Escape");
      await page.keyboard.press("+");
      await looked("picker");
      await page.keyboard.press("Escape");
      await page.locator("#log").focus();
      await page.keyboard.press("ArrowUp");
      await page.keyboard.press("Delete");
      await looked("question");
      await page.context().close();
    });
  }
});
