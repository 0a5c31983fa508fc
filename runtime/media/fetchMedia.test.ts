import type { LookupAddress } from 'node:dns'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { createMediaFetcher, MediaFetchError, type MediaFetcherOptions } from './fetchMedia.ts'

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
})

/** Starts a server and returns its port; requests are counted by host header. */
async function serve(listener: RequestListener): Promise<{ port: number; hosts: string[] }> {
  const hosts: string[] = []
  const server = createServer((request, response) => {
    hosts.push(request.headers.host ?? '')
    listener(request, response)
  })
  servers.push(server)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return { port: (server.address() as AddressInfo).port, hosts }
}

const here: LookupAddress[] = [{ address: '127.0.0.1', family: 4 }]
const { signal } = new AbortController()

/** Names that begin with `good` are this machine, which counts as public; all others are a private address. */
function fetcher(options: MediaFetcherOptions = {}) {
  return createMediaFetcher({
    resolve: async host => (host.startsWith('good') ? here : [{ address: '10.0.0.1', family: 4 }]),
    isAllowed: address => address === '127.0.0.1',
    ...options,
  })
}

const refusal = (message: RegExp) =>
  expect.objectContaining({ message: expect.stringMatching(message) })

describe('media that clients name', () => {
  test('are fetched from the address their host was resolved to', async () => {
    const { port, hosts } = await serve((_, response) => {
      response.writeHead(200, { 'content-type': 'Image/PNG; q=1' }).end('abc')
    })
    const media = await fetcher()(`http://good.example:${port}/a?b`, signal)
    expect([media.bytes.toString(), media.mimeType]).toEqual(['abc', 'image/png'])
    expect(hosts).toEqual([`good.example:${port}`])
  })

  test('a name is resolved once: a later answer of the name server changes nothing', async () => {
    const { port } = await serve((_, response) => response.end('abc'))
    const answers = [here, [{ address: '10.0.0.1', family: 4 }]]
    let numAsked = 0
    const resolve = async () => answers[numAsked++] ?? []
    await fetcher({ resolve })(`http://rebind.example:${port}/`, signal)
    expect(numAsked).toBe(1)
  })

  test.each([
    ['http://bad.example/', /public Internet/],
    ['http://10.0.0.1/', /public Internet/],
    ['http://2130706433/', /public Internet/],
    ['http://0x7f.1/', /public Internet/],
    ['http://[::1]/', /public Internet/],
    ['http://[::ffff:7f00:1]/', /public Internet/],
    ['http://localhost/', /public Internet/],
    ['http://a.localhost:8080/', /public Internet/],
    ['http://printer.local/', /public Internet/],
    ['file:///etc/passwd', /only http/],
    ['ftp://good.example/', /only http/],
    ['http://user:password@good.example/', /user name/],
    ['nonsense', /not a URL/],
    ['', /not a URL/],
  ])('%s is refused', async (url, message) => {
    // The server's own rules, but for a resolver that needs no network.
    const real = createMediaFetcher({ resolve: async () => [{ address: '10.0.0.1', family: 4 }] })
    await expect(real(url, signal)).rejects.toEqual(refusal(message))
    await expect(real(url, signal)).rejects.toBeInstanceOf(MediaFetchError)
  })

  test('one private address among public ones is one too many', async () => {
    const resolve = async () => [...here, { address: '10.0.0.1', family: 4 }]
    await expect(fetcher({ resolve })('http://mixed.example/', signal)).rejects.toEqual(
      refusal(/public Internet/),
    )
  })

  test('a host nobody knows, and one that does not answer', async () => {
    const resolve = async () => {
      throw new Error('ENOTFOUND')
    }
    await expect(fetcher({ resolve })('http://none.example/', signal)).rejects.toEqual(
      refusal(/not known/),
    )
    await expect(fetcher()('http://good.example:1/', signal)).rejects.toEqual(
      refusal(/does not answer/),
    )
  })
})

describe('redirects', () => {
  /** Redirects `/3` to `/2` and so on; `/0` is there. */
  const countdown: RequestListener = (request, response) => {
    const left = Number(request.url?.slice(1))
    if (left === 0) response.end('abc')
    else response.writeHead(302, { location: `/${left - 1}` }).end()
  }

  test('three are followed, a fourth is not', async () => {
    const { port } = await serve(countdown)
    const { bytes } = await fetcher()(`http://good.example:${port}/3`, signal)
    expect(bytes.toString()).toBe('abc')
    await expect(fetcher()(`http://good.example:${port}/4`, signal)).rejects.toEqual(
      refusal(/more than 3 times/),
    )
  })

  test.each([
    ['http://bad.example/', /public Internet/],
    ['http://localhost/', /public Internet/],
    ['file:///etc/passwd', /only http/],
  ])('to %s are refused', async (location, message) => {
    const { port } = await serve((_, response) => response.writeHead(307, { location }).end())
    await expect(fetcher()(`http://good.example:${port}/`, signal)).rejects.toEqual(
      refusal(message),
    )
  })
})

describe('limits', () => {
  test('bytes, announced or not', async () => {
    const { port } = await serve((request, response) => {
      if (request.url === '/announced') response.setHeader('content-length', 100)
      response.write('x'.repeat(60))
      response.end('x'.repeat(40))
    })
    for (const path of ['announced', 'streamed']) {
      await expect(
        fetcher({ maxBytes: 99 })(`http://good.example:${port}/${path}`, signal),
      ).rejects.toEqual(refusal(/more than 99 bytes/))
    }
    const { bytes } = await fetcher({ maxBytes: 100 })(`http://good.example:${port}/`, signal)
    expect(bytes).toHaveLength(100)
  })

  test('time, for a name, a head and a body that never come', async () => {
    const { port } = await serve((request, response) => {
      if (request.url === '/body') response.write('x')
    })
    const quick = { timeoutMs: 200 }
    const never = { ...quick, resolve: () => new Promise<never>(() => {}) }
    for (const [path, options] of [
      ['head', quick],
      ['body', quick],
      ['name', never],
    ] as const) {
      await expect(fetcher(options)(`http://good.example:${port}/${path}`, signal)).rejects.toEqual(
        refusal(/more than 0.2 s/),
      )
    }
  })

  test('a caller that leaves gets its own reason', async () => {
    const { port } = await serve(() => {})
    const controller = new AbortController()
    const fetching = fetcher()(`http://good.example:${port}/`, controller.signal)
    controller.abort(new Error('gone'))
    await expect(fetching).rejects.toThrow('gone')
  })

  test('failures and encodings of the server', async () => {
    const { port } = await serve((request, response) => {
      if (request.url === '/gzip') response.setHeader('content-encoding', 'gzip')
      else response.statusCode = 404
      response.end('x')
    })
    const get = (path: string) => fetcher()(`http://good.example:${port}${path}`, signal)
    await expect(get('/')).rejects.toEqual(refusal(/status 404/))
    await expect(get('/gzip')).rejects.toEqual(refusal(/gzip/))
  })
})
