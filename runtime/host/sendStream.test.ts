import { once } from 'node:events'
import { get as getHttp1 } from 'node:http'
import { connect as connectHttp2 } from 'node:http2'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { afterEach, describe, expect, test } from 'vitest'
import type { StreamSink, StreamSource } from '../../edge/streamSource.ts'
import { eventually } from '../../test/http/httpSuite.ts'
import { type Listener, listen } from './listen.ts'

const PIECE = new Uint8Array(4096).fill(0x78)

/** Makes pieces for as long as it is asked, or so many. */
class Pieces implements StreamSource {
  numPulls = 0
  numCancels = 0
  readonly #count: number
  #sink: StreamSink | undefined

  constructor(count: number) {
    this.#count = count
  }

  start(sink: StreamSink) {
    this.#sink = sink
  }

  async pull() {
    await new Promise(setImmediate)
    if (this.numPulls++ < this.#count) this.#sink?.enqueue(PIECE)
    else this.#sink?.close()
  }

  cancel() {
    this.numCancels++
  }
}

let open: Listener | undefined
afterEach(async () => open?.close(0))

async function serve(source: StreamSource): Promise<string> {
  open = await listen((_, { sendStream }) => sendStream?.(source, { a: 'b' }) ?? Response.error(), {
    host: '127.0.0.1',
    port: 0,
    callers: 'clients',
  })
  return `http://127.0.0.1:${open.port}`
}

/** Asks for `/`. @returns the body, paused, and how to leave */
type Get = (url: string) => Promise<{ body: Readable; leave(): void }>

async function get1(url: string) {
  const request = getHttp1(url)
  const [body] = (await once(request, 'response')) as [Readable]
  return { body, leave: () => request.destroy() }
}

async function get2(url: string) {
  const session = connectHttp2(url)
  const body = session.request({ ':path': '/' })
  await once(body, 'response')
  body.once('close', () => session.close())
  return { body, leave: () => body.close() }
}

describe.each<[string, Get]>([
  ['HTTP/1.1', get1],
  ['HTTP/2', get2],
])('%s', (_, get) => {
  test('every piece arrives, and then the end', async () => {
    const { body } = await get(await serve(new Pieces(100)))
    expect((await text(body)).length).toBe(100 * PIECE.length)
  })

  test('a reader that stops stops the source, and goes on from there', async () => {
    const source = new Pieces(10_000)
    const { body } = await get(await serve(source))
    let numPulls = -1
    await eventually(() => {
      const hasStopped = source.numPulls === numPulls
      numPulls = source.numPulls
      return hasStopped
    })
    expect(numPulls).toBeLessThan(10_000)
    expect((await text(body)).length).toBe(10_000 * PIECE.length)
  })

  test('one that leaves ends it', async () => {
    const source = new Pieces(Infinity)
    const { leave } = await get(await serve(source))
    leave()
    await eventually(() => source.numCancels > 0)
    const { numPulls } = source
    for (let i = 0; i < 20; i++) await new Promise(setImmediate)
    expect(source.numPulls).toBeLessThanOrEqual(numPulls + 1)
  })

  test('a source that fails breaks it off', async () => {
    const source = Object.assign(new Pieces(0), { pull: () => Promise.reject(new Error('broken')) })
    const { body } = await get(await serve(source))
    await expect(text(body)).rejects.toThrow()
    await eventually(() => source.numCancels > 0)
  })
})

test('a client that has left already is answered nothing', async () => {
  const source = new Pieces(Infinity)
  open = await listen(
    async (request, { sendStream }) => {
      await once(request.signal, 'abort')
      return sendStream?.(source, {}) ?? Response.error()
    },
    { host: '127.0.0.1', port: 0, callers: 'clients' },
  )
  await fetch(`http://127.0.0.1:${open.port}`, { signal: AbortSignal.timeout(100) }).catch(() => {})
  await eventually(() => source.numCancels > 0)
  expect(source.numPulls).toBe(0)
})
