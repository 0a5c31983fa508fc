import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { Client } from 'undici'
import type { Script } from './syntheticEngine.ts'

// The least that servers in Node can cost, to tell what the edge app adds.

const FRAME = `data: ${JSON.stringify({
  id: 'chatcmpl-000000000000000000000000',
  object: 'chat.completion.chunk',
  created: 0,
  model: 'synthetic',
  choices: [{ index: 0, delta: { content: 'word ' }, logprobs: null, finish_reason: null }],
})}\n\n`

/** `node:http` alone: streams frames from a timer. */
export function startBareServer(): Promise<{ port: number }> {
  return serve(async (request, response) => {
    const { messages } = JSON.parse(await text(request))
    const { steps, stepMs = 0 }: Script = JSON.parse(messages[0].content)
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    for (let step = -1; step <= steps; step++) {
      response.write(FRAME)
      await (stepMs === 0 ? setImmediate() : setTimeout(stepMs))
    }
    response.end('data: [DONE]\n\n')
  })
}

/** `node:http`, and undici's HTTP/2 to a server whose bytes are passed on as they are. */
export function startRelay(url: string): Promise<{ port: number }> {
  const clients = Array.from(
    { length: 4 },
    () =>
      new Client(url, {
        allowH2: true,
        headersTimeout: 0,
        bodyTimeout: 0,
        h2Options: { useH2c: true, maxConcurrentStreams: 1000 },
      }),
  )
  let numRequests = 0
  return serve(async (request, response) => {
    const body = await text(request)
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    clients[numRequests++ % clients.length]?.dispatch(
      {
        path: request.url ?? '',
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
      },
      {
        onRequestStart() {},
        onResponseStart() {},
        onResponseData: (_, chunk) => response.write(chunk),
        onResponseEnd: () => response.end(),
        onResponseError: (_, error) => response.destroy(error),
      },
    )
  })
}

async function serve(
  listener: (...args: Parameters<RequestListener>) => Promise<void>,
): Promise<{ port: number }> {
  const server = createServer((request, response) => {
    listener(request, response).catch(error => response.destroy(error))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return { port: (server.address() as AddressInfo).port }
}
