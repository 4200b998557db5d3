// Opens the page in a headless Chromium: golden vectors, an edit that moves the match, faults, the keyboard, screenshots.
//
//     npm ci && CHROMIUM=/usr/bin/chromium npm test

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { chromium } from "playwright-core";

import { serve } from "./serve.mjs";

const { server, url } = await serve(0);
const profile = await mkdtemp(join(tmpdir(), "satmip-page-"));
const context = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  headless: true,
  viewport: { width: 1440, height: 900 },
  colorScheme: "light",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});

try {
  const page = await context.newPage();
  const faults = [];
  page.on("pageerror", (error) => faults.push(error.message));
  page.on("console", (message) => message.type() === "error" && faults.push(message.text()));
  const open = async (query) => {
    await page.goto(url + query);
    await page.waitForSelector("body[data-ready], [role=alert]", { timeout: 120_000 });
    assert.equal(await page.locator("[role=alert]").count(), 0, await page.locator("#status").textContent());
  };
  const number = async () => Number((await page.locator("#cosine").textContent()).replace("−", "-"));
  const changed = async (before) => {
    await page.waitForFunction((b) => Number(document.getElementById("cosine").textContent) !== b, before);
    return number();
  };

  // The vectors of the golden bundle, in this browser.
  await open("?bundle=../golden/bundle&chips=../golden/golden.json");
  const golden = page.locator("#golden");
  assert.equal(await golden.getAttribute("data-faults"), "0", await golden.textContent());
  console.log(await golden.textContent());
  assert.equal(await page.locator(".field").count(), 15);

  // The trained model: an edit moves caption and match, and the UTM zone follows the location.
  await open("");
  await page.locator('[name=picture][value="River 396"]').check({ force: true });
  await page.waitForFunction(() => document.getElementById("chosen").alt === "River 396");
  await page.waitForFunction(() => document.getElementById("caption").textContent.includes("DEU"));
  const own = await number();
  await page.fill("#location", "151.2, -33.87");
  const moved = await changed(own);
  assert.equal(await page.inputValue("#utm_zone"), "56H");
  assert.match(await page.locator("#caption").textContent(), /Location: \(151\.2000, -33\.8700\); UTM zone: 56H/);
  console.log(`cosine ${own} with its own location, ${moved} with another`);
  const shares = await page.locator("#ranking .share").allTextContents();
  const sum = shares.reduce((total, text) => total + parseFloat(text), 0);
  assert.ok(Math.abs(sum - 100) < 3, `shares sum to ${sum}`);

  // A value that is none is said to be, and left out.
  await page.fill("#gsd", "coarse");
  await page.waitForFunction(() => document.getElementById("gsd-fault").textContent.includes("number"));
  assert.doesNotMatch(await page.locator("#caption").textContent(), /GSD/);

  // The buttons: nothing known, and the picture's own record again.
  await page.click("#clear");
  await page.waitForFunction(() => document.getElementById("caption").textContent.includes("nothing"));
  await page.click("#reset");
  await page.waitForFunction((b) => Number(document.getElementById("cosine").textContent) === b, own);

  // The keyboard alone: arrows choose a picture.
  await page.focus('[name=picture][value="River 396"]');
  await page.keyboard.press("ArrowRight");
  await page.waitForFunction(() => document.getElementById("chosen").alt !== "River 396");

  const shot = (name) => page.screenshot({ path: fileURLToPath(new URL(name, import.meta.url)), fullPage: true });
  await page.locator("[name=picture]").first().check({ force: true });
  await page.waitForFunction(() => document.getElementById("caption").textContent.includes("POL"));
  await shot("page.png");

  // Nothing is cut at any width: a field shows a dozen characters, and the page does not scroll sideways.
  for (const width of [400, 800, 1200, 1600]) {
    await page.setViewportSize({ width, height: 900 });
    const narrowest = await page.$$eval(".field input", (all) => Math.min(...all.map((input) => input.clientWidth)));
    assert.ok(narrowest >= 120, `at ${width} px a field is ${narrowest} px wide`);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${width} px scrolls`);
    if (process.env.ALL_SHOTS) await shot(`page-${width}.png`);
  }
  if (process.env.ALL_SHOTS) {
    await page.emulateMedia({ colorScheme: "dark" });
    await shot("page-dark.png");
  }
  assert.deepEqual(faults, []);
  console.log("page: passed");
} finally {
  await context.close();
  server.close();
  await rm(profile, { recursive: true, force: true });
}
