import { existsSync } from 'node:fs'
import { type Browser, chromium } from 'playwright-core'

const candidates = [
  process.env.CHROME_PATH,
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/usr/bin/google-chrome-stable',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
]

/** The browser of this machine; says why not when there is none. */
export function findChromium(): string | undefined {
  const path = candidates.find(candidate => candidate !== undefined && existsSync(candidate))
  if (path === undefined) {
    console.log('skipped: no Chromium or Chrome here; CHROME_PATH can name one')
  }
  return path
}

/** Without a window, and without anything that a browser does on the network for its own sake. */
export function launchChromium(executablePath: string): Promise<Browser> {
  return chromium.launch({
    executablePath,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
}
