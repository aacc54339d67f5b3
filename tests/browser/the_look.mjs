/**
 * The look, as it is measured: columns, rhythm, sizes, colours, what a finger needs, and the menus at the name, beside
 * the message box and behind one's own name. `node the_look.mjs SALON_BINARY`; see run.sh.
 */
import { begin, boxOf, composer, connected, enter, members, newPage as openPage, say, sees, speak, titled } from "./browser.mjs";
import { Server, check, equal, freePort, until } from "./harness.mjs";

const server = new Server(process.argv[2], await freePort(), "--rate", "off");
const { browser, run } = await begin(server);
const newPage = (options = {}) => openPage(browser, { origin: `http://127.0.0.1:${server.port}`, ...options });
// In one step each: what is drawn anew between being found and being read has no style and no place.
const style = (page, selector, ...names) => page.evaluate(([selector, names]) => {
  const all = getComputedStyle(document.querySelector(selector));
  return names.map((name) => all[name]);
}, [selector, names]);
const box = (page, selector) => page.evaluate((selector) => {
  const { x, y, width, height, right } = document.querySelector(selector).getBoundingClientRect();
  return { x, y, width, height, end: right };
}, selector);
const text = (page, words) => page.locator("#messages > li.message", { hasText: words });
const menu = (page) => page.locator("#place-menu .menu-item").allTextContents();
const pressed = (page, name) => page.locator("#place-menu").getByRole("button", { name }).click();

/**
 * What can be pressed and is seen: where it is less than 44 px in either direction. The name above a message is a way
 * that its avatar is too, and the bar is for a pointer that hovers.
 */
const small = (page, within) => page.evaluate((within) => [...document.querySelectorAll(`${within} :is(button, select, input, [role=option])`)].map((node) => {
  const { width, height } = node.getBoundingClientRect();
  if (node.closest(".author, .message-bar")) return "";
  const shown = node.checkVisibility({ visibilityProperty: true, opacityProperty: true }) && width > 1;
  return shown && Math.min(width, height) < 43.5 ? `${node.id || node.className} ${Math.round(width)}x${Math.round(height)}` : "";
}).filter(Boolean), within);

await run(async () => {
  const ada = await newPage();
  await enter(ada, "Ada", "kitchen");
  const bob = await newPage();
  await enter(bob, "Bob", "kitchen");
  await until("they see each other", async () => (await members(ada)).length === 2);

  await check("lines are 46 rem at most, the composer and the cards on the same column, also at 2,560 px", async () => {
    await speak(bob, "Zoe", { room_id: "kitchen" }, ["word ".repeat(200)]);
    await text(ada, "word word").waitFor();
    for (const width of [1440, 1920, 2560]) {
      await ada.setViewportSize({ width, height: 900 });
      const [line, field, log] = [await box(ada, "#messages > li.message .body"), await box(ada, ".composer-box"), await box(ada, "#log")];
      equal(line.width <= 46 * 16, true, `a line at ${width} px: ${line.width}`);
      equal([field.x, Math.abs(field.end - line.end) <= 8], [log.x + 20, true], `the composer at ${width} px: ${field.x} to ${field.end}, the text to ${line.end}`);
    }
    await ada.setViewportSize({ width: 1280, height: 800 });
  });

  await check("rhythm: lines of 22 px, 2 within a group and 16 between, a head again after 10 messages", async () => {
    await speak(bob, "Zoe", { room_id: "rhythm" }, Array.from({ length: 12 }, (_, n) => `line ${n + 1}`));
    await speak(bob, "Yan", { room_id: "rhythm" }, ["another"]);
    await say(ada, "/join rhythm");
    await titled(ada, "rhythm");
    await sees(ada, "another");
    const texts = await ada.evaluate(() => [...document.querySelectorAll("#messages > li.message")].map((node) => ({
      top: node.querySelector(".text").getBoundingClientRect().top, bottom: node.querySelector(".text").getBoundingClientRect().bottom,
      head: node.classList.contains("continued") ? null : node.querySelector(".byline").getBoundingClientRect().top,
    })));
    equal(texts.map(({ head }) => (head === null ? "-" : "h")).join(""), "h---------h-h", "heads");
    equal([texts[1].bottom - texts[1].top, texts[2].top - texts[1].bottom, texts[10].head - texts[9].bottom].map(Math.round), [22, 2, 16], "a line, within, between");
  });

  await check("the time of a message without a head shows on hover, with the focus, and by a tap", async () => {
    const opacity = (page) => text(page, "line 2").first().locator("time").evaluate((node) => Number(getComputedStyle(node).opacity));
    equal(await opacity(ada), 0, "before");
    await text(ada, "line 2").first().hover();
    equal(await opacity(ada), 1, "on hover");
    await ada.mouse.move(0, 0);
    await ada.locator("#log").focus();
    await until("the keyboard leads there", async () => {
      await ada.keyboard.press("ArrowUp");
      return (await ada.locator("#messages > li:focus .text").textContent()) === "line 2";
    });
    equal(await opacity(ada), 1, "with the focus");
    const phone = await newPage({ hasTouch: true, isMobile: true, viewport: { width: 360, height: 740 } });
    await enter(phone, "Pia", "rhythm");
    await say(phone, "/join kitchen");
    await say(phone, "/join rhythm");
    await titled(phone, "rhythm");
    await text(phone, "line 2").first().waitFor();
    equal(await opacity(phone), 0, "on a phone, before");
    // A browser makes a click of a tap when that is over.
    await text(phone, "line 2").first().locator(".text").tap();
    await until("it is there after a tap", async () => await opacity(phone) === 1);
    equal((await boxOf(text(phone, "line 2").first().locator("time"))).x >= 0, true, "in view");
    await text(phone, "line 2").first().locator(".text").tap();
    await until("it is gone after another one", async () => await opacity(phone) === 0);
    await phone.context().close();
  });

  await check("an English time with AM or PM stands in one line beside its message, at 1,440 and 360 px", async () => {
    for (const width of [1440, 360]) {
      const page = await newPage({ locale: "en-US", viewport: { width, height: 740 } });
      await enter(page, `Clock ${width}`, "rhythm");
      const row = text(page, "line 2").first();
      await row.hover();
      const [at, words, first] = await row.evaluate((node) => [node.querySelector("time"), node.querySelector(".text"), node.parentElement.querySelector(".message:not(.continued) time")].map((one) => {
        const { left, right, height } = one.getBoundingClientRect();
        return { left, right, height, shown: one.innerText };
      }));
      equal([/^\d\d:\d\d\s*$/u.test(at.shown), /[AP]M$/u.test(first.shown), at.height <= 20, at.left >= 0, at.right <= words.left], [true, true, true, true, true], `at ${width} px: ${JSON.stringify([at, first])}`);
      await page.context().close();
    }
  });

  await check("at 360 px the dot, the name and the arrow in the head stand on one line, above the topic", async () => {
    const page = await newPage({ viewport: { width: 360, height: 740 } });
    await enter(page, "Slim", "kitchen");
    await say(page, "/msg Bob");
    await titled(page, "Bob");
    await until("Bob is here", async () => (await page.locator("#topic").textContent()) !== "" && await page.locator("#title .presence.online").count() === 1);
    const [dot, name, button, topic] = [await box(page, "#title .presence"), await box(page, "#title bdi"), await box(page, "#title"), await box(page, "#topic")];
    const middle = ({ y, height }) => y + height / 2;
    equal([Math.abs(middle(dot) - middle(name)) <= 2, button.height >= 43.5, topic.y >= name.y + name.height - 3], [true, true, true], JSON.stringify({ dot, name, button, topic }));
    await page.context().close();
  });

  await check("a mention, what is called and what is hovered have their colours, in the dark too", async () => {
    await say(ada, "/join kitchen");
    await titled(ada, "kitchen");
    await say(bob, "@Ada, tea?");
    await ada.locator("#messages > li.mention").waitFor();
    for (const [colorScheme, row, hover] of [["light", "rgb(255, 246, 224)", "rgb(243, 241, 235)"], ["dark", "rgb(46, 38, 17)", "rgb(35, 41, 43)"]]) {
      await ada.emulateMedia({ colorScheme });
      await ada.mouse.move(0, 0);
      const [back, shadow] = await style(ada, "#messages > li.mention", "backgroundColor", "boxShadow");
      equal([back, shadow], [row, "rgb(217, 144, 0) 3px 0px 0px 0px inset"], `${colorScheme}: the row`);
      equal(await style(ada, "#messages .call.called", "fontWeight", "borderRadius"), ["600", "4px"], `${colorScheme}: the token`);
      await text(ada, "word word").hover();
      await until(`${colorScheme}: the wash`, async () => (await style(ada, "#messages > li.message:hover", "backgroundColor"))[0] === hover);
    }
    await ada.emulateMedia({ colorScheme: "light" });
  });

  await check("the bar of a message reacts, replies, edits, copies the link and has more, at the top right", async () => {
    await text(ada, "@Ada, tea?").hover();
    const shown = () => ada.locator("#message-bar > button:visible").evaluateAll((all) => all.map(({ id }) => id));
    equal(await shown(), ["bar-react", "bar-reply", "bar-link", "bar-more"], "at somebody else's");
    equal((await box(ada, "#message-bar")).height, 34, "its height, with its edges");
    await ada.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    await ada.locator("#bar-link").click();
    await until("the link is copied", async () => /#room=kitchen&.*\d+/u.test(await ada.evaluate(() => navigator.clipboard.readText())));
    await ada.locator("#toast:not([hidden])").waitFor();
    equal(await ada.locator("#toast").evaluate((toast) => {
      const { x, y, width, height } = toast.getBoundingClientRect();
      return toast.contains(document.elementFromPoint(x + width / 2, y + height / 2));
    }), false, "the words that say so, in the way of a pointer");
    await say(ada, "mine");
    await sees(ada, "mine"); // it has a line less then, and moves
    await text(ada, "mine").hover();
    await until("one's own is edited there", async () => (await shown()).join() === "bar-react,bar-reply,bar-edit,bar-link,bar-more");
  });

  await check("the name in the head is a menu of all that can be done there, for rooms and people", async () => {
    await ada.locator("#title").click();
    const [name, list] = [await box(ada, "#title"), await box(ada, "#place-menu")];
    equal([Math.round(list.x - name.x), Math.round(list.y - name.y - name.height)], [0, 4], "where it opens: beneath the name");
    equal(await menu(ada), ["Mute this room", "Change the title", "Change the topic", "Copy invitation link", "Show as QR code", "Leave room"], "of a room");
    await pressed(ada, "Mute this room");
    await until("it is muted", async () => (await ada.locator("#mute").getAttribute("aria-pressed")) === "true");
    await ada.locator("#title").focus();
    await ada.keyboard.press("Enter");
    equal(await ada.locator("#place-menu .menu-item").first().getAttribute("aria-pressed"), "true", "what the menu says of it");
    await ada.keyboard.press("Escape");
    equal(await ada.evaluate(() => document.activeElement.id), "title", "the focus behind it");
    await ada.locator("#title").click();
    for (const key of ["ArrowDown", "ArrowDown", "Enter"]) await ada.keyboard.press(key);
    await ada.locator("#topic-input").fill("tea and cake");
    await ada.keyboard.press("Enter");
    await until("the topic is there", async () => (await bob.locator("#topic").textContent()) === "tea and cake");
    await say(ada, "/msg Bob");
    await titled(ada, "Bob");
    await ada.locator("#title").click();
    equal(await menu(ada), ["Mute this conversation", "Close conversation"], "of a person");
    await pressed(ada, "Close conversation");
    await titled(ada, "kitchen");
    await say(ada, "/mute");
  });

  await check("the column of people goes and comes again, also after a reload, and is none for two who write to each other", async () => {
    const [column, button] = [ada.locator("#details"), ada.locator("#open-details")];
    const is = async (shown) => equal([await column.isVisible(), await button.getAttribute("aria-expanded")], [shown, String(shown)], "the column, the button");
    await is(true);
    await button.click();
    await is(false);
    await ada.reload();
    await connected(ada);
    await is(false);
    await say(ada, "/msg Bob");
    await titled(ada, "Bob");
    await button.click(); // they may be asked for
    await is(true);
    await ada.locator(".place", { hasText: "kitchen" }).click();
    await titled(ada, "kitchen");
    await is(false);
    await button.click();
    await is(true);
    await ada.locator("#person-list .place", { hasText: "Bob" }).click();
    await titled(ada, "Bob");
    await is(false);
    await ada.locator(".place", { hasText: "kitchen" }).click();
    await titled(ada, "kitchen");
    await is(true);
  });

  await check("a new room may have a title and a topic; a note is written behind one's own name", async () => {
    await ada.getByRole("button", { name: "Join or create a room" }).click();
    await ada.locator("#finder-input").fill("tea");
    await ada.locator("#finder-room-title").fill("The tea room");
    await ada.locator("#finder-topic").fill("leaves");
    await ada.locator("#finder-submit").click();
    await titled(ada, "The tea room");
    equal(await ada.locator("#title .room-id").textContent(), "tea", "its name");
    await until("its topic", async () => (await ada.locator("#topic").textContent()) === "leaves");
    await ada.locator("#me-name").click();
    await ada.locator("#note-input").fill("x".repeat(300));
    await ada.keyboard.press("Enter");
    await until("it is too long", async () => (await ada.locator("#note-problem").textContent()) === "That note is too long, by about 44 characters.");
    await ada.locator("#note-input").fill("at lunch");
    await ada.keyboard.press("Enter");
    await until("Bob sees it", async () => (await bob.locator("#members .member-note").allTextContents()).includes("at lunch"));
    await ada.locator("#me-name").click();
    equal(await ada.locator("#note-input").inputValue(), "at lunch", "what is there");
    await ada.locator("#note-input").fill("");
    await ada.keyboard.press("Enter");
    await until("it is gone", async () => !(await bob.locator("#members .member-note").allTextContents()).includes("at lunch"));
    await say(ada, "/join kitchen");
    await titled(ada, "kitchen");
  });

  await check("the button beside the message box writes the signs around what is selected, or before its lines", async () => {
    const form = async (name) => {
      await ada.locator("#format").click();
      await ada.locator("#format-menu").getByRole("button", { name, exact: true }).click();
      return composer(ada).evaluate(({ value, selectionStart, selectionEnd }) => `${value.slice(0, selectionStart)}[${value.slice(selectionStart, selectionEnd)}]${value.slice(selectionEnd)}`);
    };
    const select = (value, from, to) => composer(ada).evaluate((node, [value, from, to]) => { node.value = value; node.setSelectionRange(from, to); node.dispatchEvent(new Event("input", { bubbles: true })); }, [value, from, to]);
    for (const [name, value, from, to, expected] of [
      ["Bold", "a bc d", 2, 4, "a **[bc]** d"], ["Italic", "", 0, 0, "*[]*"], ["Struck out", "ab", 0, 2, "~~[ab]~~"], ["Code", "a\nb", 0, 3, "```\n[a\nb]\n```"], ["Code", "ab", 1, 2, "a`[b]`"],
      ["Quote", "x\nab\ncd", 3, 7, "x\n> ab\n> cd[]"], ["List", "ab", 1, 1, "- a[]b"],
    ]) {
      await select(value, from, to);
      equal(await form(name), expected, name);
    }
    equal(await ada.evaluate(() => document.activeElement.id), "composer-input", "the focus");
    await composer(ada).fill("");
    equal([(await box(ada, "#format")).height, (await box(ada, "#emoji")).width], [32, 32], "the buttons");
  });

  await check("whoever leaves a room is in the one where they were before, and the number of people is no badge", async () => {
    for (const room of ["first", "second", "third"]) {
      await say(ada, `/join ${room}`);
      await titled(ada, room);
    }
    const to = async (room) => {
      await ada.locator("#room-list .place", { hasText: room }).click();
      await titled(ada, room);
    };
    await to("first");
    await to("third");
    await say(ada, "/leave third");
    await titled(ada, "first");
    await say(ada, "/leave first");
    await titled(ada, "second");
    await say(ada, "/leave second");
    await titled(ada, "kitchen");
    await say(bob, "/join annexe");
    // The list is that of when it was opened.
    await until("Bob is in it", async () => (await members(bob)).join() === "Bob");
    await ada.getByRole("button", { name: "Join or create a room" }).click();
    const annexe = ada.locator("#finder-list .place", { hasText: "annexe" });
    await until("one is there, beside a sign of people", async () => (await annexe.locator(".place-members:has(svg)").textContent()).startsWith("1"));
    equal(await annexe.locator(".badge, .unread-dot").count(), 0, "what looks like unread");
    await ada.keyboard.press("Escape");
    await say(bob, "/leave annexe");
    await titled(bob, "kitchen");
  });

  await check("a double click on “Leave room” leaves one, and the focus is where one writes; so it is with what else moves away under the pointer", async () => {
    const page = await newPage();
    await enter(page, "Lea", "kitchen");
    for (const room of ["one", "two", "three"]) {
      await say(page, `/join ${room}`);
      await titled(page, room);
    }
    await page.locator("#leave").dblclick();
    await until("three is left", async () => !(await page.locator("#room-list .place-name").allTextContents()).includes("three"));
    equal(await page.evaluate(() => document.activeElement.id), "composer-input", "the focus");
    await titled(page, "two");
    // What is behind it is left by the next click that is meant so.
    await page.locator("#leave").click();
    await titled(page, "one");
    equal((await page.locator("#room-list .place-name").allTextContents()).sort(), ["kitchen", "one"], "rooms");
    // A button in the place of the one that the first click has put away.
    await page.evaluate(() => {
      const box = document.createElement("div");
      const button = (words) => Object.assign(document.createElement("button"), { textContent: words, onclick: ({ target }) => { target.remove(); window.pressed = [...window.pressed ?? [], words]; } });
      box.append(button("same"), button("same"));
      Object.assign(box.style, { position: "fixed", top: "0", left: "0", zIndex: 99 });
      box.id = "stack";
      document.body.append(box);
    });
    await page.locator("#stack button").first().dblclick();
    equal(await page.evaluate(() => window.pressed), ["same"], "what was pressed");
    // Firefox counts a click that a key has made as one: it has no pointer, wherever that was pressed before.
    await page.keyboard.press("Control+k");
    const field = await boxOf(page.locator("#switcher-input"));
    await page.mouse.move(field.x + 5, field.y + 5);
    await page.mouse.down(); // and let go elsewhere: no click ends it
    await page.mouse.move(2, 300);
    await page.mouse.up();
    await page.keyboard.press("Escape");
    await page.locator("#switcher:not([open])").waitFor({ state: "attached" });
    equal(await page.evaluate(() => {
      const button = document.querySelector("#stack button");
      button.dispatchEvent(new MouseEvent("click", { detail: 1, bubbles: true, cancelable: true }));
      return window.pressed;
    }), ["same", "same"], "what a key has pressed");
    await page.context().close();
  });

  await check("an empty room has its address in a field, and says that one of this machine is for nobody else", async () => {
    await say(ada, "/join empty");
    await titled(ada, "empty");
    equal(await ada.locator(".invitation input").inputValue(), `${ada.origin}/#room=empty`, "the address");
    equal(await ada.locator(".invitation-note").textContent(), "This address leads here on this machine alone. To others, send one at which they reach it.", "the sentence");
    await say(ada, "/leave empty");
    await titled(ada, "kitchen");
  });

  await check("type has five sizes", async () => {
    await say(ada, "/help");
    await ada.locator(".help-card").waitFor();
    const sizes = () => ada.evaluate(() => {
      const found = new Map();
      for (const node of document.querySelectorAll("body *")) {
        const own = [...node.childNodes].some((child) => child.nodeType === Node.TEXT_NODE && child.data.trim() !== "");
        if (!own || !node.checkVisibility() || node.closest(".sign, .jumbo, .text code, .picker-emoji")) continue;
        const size = Math.round(parseFloat(getComputedStyle(node).fontSize) * 100) / 100;
        if (!found.has(size)) found.set(size, node.id || node.className || node.tagName);
      }
      return [...found].filter(([size]) => ![12, 13, 15, 17, 22].includes(size));
    });
    equal(await sizes(), [], "others");
    await ada.locator(".help-card .quiet").click();
    await say(ada, "/join nowhere");
    await titled(ada, "nowhere");
    equal(await sizes(), [], "others, in an empty room");
    await say(ada, "/leave nowhere");
    await titled(ada, "kitchen");
  });

  await check("what leads out is away from the bell", async () => {
    const [bell, out] = [await box(ada, "#notify"), await box(ada, "#change-name")];
    equal(Math.abs(bell.y - out.y) > 200, true, `${bell.y} and ${out.y}`);
  });

  await check("at 360 px all that is pressed is 44 px, whatever the browser says of its pointer", async () => {
    for (const hasTouch of [false, true]) {
      const page = await newPage({ hasTouch, viewport: { width: 360, height: 740 } });
      await enter(page, `Narrow ${hasTouch}`, "kitchen");
      await text(page, "@Ada, tea?").waitFor().catch(() => {});
      equal(await small(page, "#conversation"), [], `the conversation, touch: ${hasTouch}`);
      for (const [button, drawer] of [["#open-places", "#places"], ["#open-details", "#details"]]) {
        await page.locator(button).click();
        await page.locator(`#app[data-drawer=${drawer.slice(1)}]`).waitFor();
        equal(await small(page, drawer), [], `${drawer}, touch: ${hasTouch}`);
        await page.keyboard.press("Escape");
        await page.locator("#app:not([data-drawer])").waitFor();
      }
      await page.locator("#title").click();
      equal(await small(page, "#place-menu"), [], `the menu, touch: ${hasTouch}`);
      await page.context().close();
    }
  });

  await check("on paper there are the messages that are loaded, all of them and light, also from a dark page, and nothing around them", async () => {
    const page = await newPage({ colorScheme: "dark" });
    await enter(page, "Printer", "paper");
    await speak(bob, "Zoe", { room_id: "paper" }, Array.from({ length: 45 }, (_, n) => `page line ${n + 1}`));
    await sees(page, "page line 45");
    await say(page, Array.from({ length: 40 }, (_, n) => `long ${n}`).join("\n"));
    await page.locator("#messages .text.long").waitFor();
    await page.emulateMedia({ media: "print", colorScheme: "dark" });
    const found = await page.evaluate(() => {
      const shown = (selector) => [...document.querySelectorAll(selector)].some((node) => node.checkVisibility());
      const all = [...document.querySelectorAll("#messages > li.message")];
      const end = all.at(-1).getBoundingClientRect().bottom + scrollY;
      return {
        around: ["#places", "#details", "#composer", "#announcements", "#message-bar", "#new-bar", "#to-latest", "#open-search", ".show-all"].filter(shown),
        title: shown("#title"), messages: all.length, page: getComputedStyle(document.body).backgroundColor, log: getComputedStyle(document.querySelector("#conversation")).backgroundColor, text: getComputedStyle(document.body).color,
        // What the paper is as long as: nothing of it is cut off or scrolled away.
        whole: document.documentElement.scrollHeight >= end && end > innerHeight && all[0].getBoundingClientRect().top + scrollY > 0 && document.querySelector("#messages .text.long").clientHeight > 40 * 20,
      };
    });
    equal(found, { around: [], title: true, messages: 46, page: "rgb(255, 255, 255)", log: "rgb(255, 255, 255)", text: "rgb(29, 35, 34)", whole: true }, "on paper");
    await page.emulateMedia({ media: "screen" });
    await page.context().close();
  });

  await check("motion is short, and none for those who want none", async () => {
    const page = await newPage({ reducedMotion: "reduce" });
    await enter(page, "Calm", "kitchen");
    const long = await page.evaluate(() => [...document.querySelectorAll("*")].filter((node) => {
      const { animationDuration, animationName, transitionDuration } = getComputedStyle(node);
      const seconds = (text) => Math.max(...text.split(",").map(parseFloat));
      return (animationName !== "none" && seconds(animationDuration) > 0.01) || seconds(transitionDuration) > 0.01;
    }).map((node) => node.id || node.className));
    equal(long, [], "what moves");
    await page.context().close();
  });
});
