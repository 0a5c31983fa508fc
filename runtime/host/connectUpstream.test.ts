import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const run = promisify(execFile)
const connectUpstream = new URL('connectUpstream.ts', import.meta.url)

/** Gives up requests while their bodies are not sent yet; the connection must be good for others then. */
const script = (wait: string) => `
  import { createServer } from 'node:http2'
  import { connectUpstream } from ${JSON.stringify(connectUpstream.href)}

  const server = createServer()
  server.on('stream', stream => {
    stream.respond()
    stream.end()
  })
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
  const url = 'http://127.0.0.1:' + server.address().port
  const { fetch } = connectUpstream(url)
  const ask = ({ signal }) =>
    fetch(url, { method: 'POST', headers: {}, body: '{}', signal }).then(answer => answer.text())
  for (let i = 0; i < 5; i++) {
    await ask(new AbortController())
    const controller = new AbortController()
    const answer = ask(controller).catch(() => {})
    ${wait}
    controller.abort()
    await answer
  }
  console.log('well')
  process.exit()
`

test.each([
  ['at once', ''],
  ['a moment later', 'for (let n = 0; n < 5; n++) await undefined'],
])(
  'a request that is given up %s leaves its connection well',
  async (_, wait) => {
    // In a process of its own: what this is about stops the event loop and takes a gigabyte a second.
    const args = ['--input-type=module', '-e', script(wait)]
    const { stdout } = await run(process.execPath, args, { timeout: 6000, killSignal: 'SIGKILL' })
    expect(stdout).toBe('well\n')
  },
  10_000,
)
