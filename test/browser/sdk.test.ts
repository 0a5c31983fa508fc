import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createApp } from '../../edge/app.ts'
import { createScriptedEngine, type ScriptedEngine } from '../../edge/scripted/scriptedEngine.ts'
import { type Listener, listen } from '../../runtime/host/listen.ts'
import { bundleForBrowser } from '../../scripts/browserBundle.ts'
import { type RunningServer, startServer, tinyModel } from '../cli/command.ts'
import { appDefaults } from '../http/deployment.ts'
import { findChromium, launchChromium } from './chromium.ts'
import type { SdkPage } from './sdkPage.ts'

const executable = findChromium()

describe.skipIf(executable === undefined)(
  'the official clients in a page of another origin',
  () => {
    let browser: Browser
    let site: Server
    let page: Page

    beforeAll(async () => {
      const code = await bundleForBrowser(new URL('sdkPage.ts', import.meta.url))
      site = createServer((request, response) => {
        const isScript = request.url === '/page.js'
        response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html')
        response.end(
          isScript ? code : '<!doctype html><script type="module" src="/page.js"></script>',
        )
      }).listen(0, '127.0.0.1')
      browser = await launchChromium(executable ?? '')
      page = await openPage()
    })
    afterAll(async () => {
      await browser?.close()
      site?.close()
    })

    async function openPage(): Promise<Page> {
      const opened = await browser.newPage()
      const { port } = site.address() as AddressInfo
      await opened.goto(`http://localhost:${port}/`)
      await opened.waitForFunction('globalThis.chat')
      return opened
    }

    /** Calls a function of the page. */
    function ask<Name extends keyof SdkPage>(name: Name, baseUrl: string, on = page) {
      return on.evaluate(`${name}(${JSON.stringify(baseUrl)})`) as ReturnType<SdkPage[Name]>
    }

    describe('in front of a scripted engine', () => {
      let engine: ScriptedEngine
      let listener: Listener
      let origin: string
      const preflights: Headers[] = []

      beforeAll(async () => {
        engine = createScriptedEngine({ stepDelayMs: 5 })
        const app = createApp({ ...appDefaults, engine })
        const address = { host: '127.0.0.1', port: 0, callers: 'clients' } as const
        listener = await listen(request => {
          if (request.method === 'OPTIONS') preflights.push(new Headers(request.headers))
          return app.fetch(request)
        }, address)
        origin = `http://127.0.0.1:${listener.port}`
      })
      afterAll(() => listener.close(0))

      test('a streamed chat, its id readable', async () => {
        const { numChunks, text, requestId, header } = await ask('chat', `${origin}/v1`)
        expect(numChunks).toBeGreaterThan(5)
        expect(text).not.toBe('')
        expect(header).toMatch(/^req_/)
        expect(requestId).toBe(header)
      })

      test('an error is an APIError with its status, code and id', async () => {
        expect(await ask('failure', `${origin}/v1`)).toEqual({
          status: 404,
          code: 'model_not_found',
          requestId: expect.stringMatching(/^req_/),
          message: expect.stringContaining('gpt-9'),
        })
      })

      test('a stream that the page aborts ends its job within a second', async () => {
        expect(await ask('abandon', `${origin}/v1`)).toBe('chat.completion.chunk')
        await expect.poll(() => engine.numActive, { timeout: 1000 }).toBe(0)
      })

      test('and so does a tab that is closed', async () => {
        const tab = await openPage()
        await ask('linger', `${origin}/v1`, tab)
        await expect.poll(() => engine.numActive).toBe(1)
        await tab.close()
        await expect.poll(() => engine.numActive, { timeout: 1000 }).toBe(0)
      })

      test('what the Anthropic client asks for in its preflight is allowed', async () => {
        preflights.length = 0
        expect(await ask('anthropicStatus', origin)).toBeGreaterThanOrEqual(200)
        const [preflight = new Headers()] = preflights
        expect(preflight.get('access-control-request-headers')).toContain(
          'anthropic-dangerous-direct-browser-access',
        )
        // Some browsers ask for this too when a page of the Internet calls the user's own machine.
        preflight.set('access-control-request-private-network', 'true')
        const init = { method: 'OPTIONS', headers: preflight }
        const { headers } = await fetch(`${origin}/v1/messages`, init)
        expect(headers.get('access-control-allow-private-network')).toBe('true')
      })
    })

    describe('in front of `mistralrs serve`', () => {
      let server: RunningServer
      beforeAll(async () => {
        server = await startServer(['-m', tinyModel, '--seed', '1'])
      })
      afterAll(() => server?.end('SIGKILL'))

      test('a streamed chat', async () => {
        const { numChunks, header } = await ask('chat', `${server.origin}/v1`)
        expect(numChunks).toBeGreaterThan(5)
        expect(header).toMatch(/^req_/)
      })
    })
  },
)
