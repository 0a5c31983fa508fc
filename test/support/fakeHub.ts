import { hash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface FakeHubOptions {
  /** Repository to file to content. */
  repositories: Record<string, Record<string, string | Buffer>>
  /** Files that the hub keeps in its large-file storage: redirected, and known by their sha256. */
  large?: RegExp
  /** Answers instead of the hub when it returns true. */
  intercept?: (request: IncomingMessage, response: ServerResponse) => boolean
  /** Breaks off the first download of each large file after this many bytes. */
  breakAfter?: number
}

export interface FakeHub {
  origin: string
  /** `METHOD path` of each request, with the range if it has one. */
  requests: string[]
  /** Authorization headers by the kind of host that got them. */
  tokens: { hub: Set<string | undefined>; storage: Set<string | undefined> }
  commit: string
  close(): Promise<void>
}

/** A Hugging Face hub on this machine, as far as downloads go (tests). */
export async function startFakeHub(options: FakeHubOptions): Promise<FakeHub> {
  const commit = hash('sha1', JSON.stringify(Object.keys(options.repositories)), 'hex')
  const tokens: FakeHub['tokens'] = { hub: new Set(), storage: new Set() }
  const requests: string[] = []
  const broken = new Set<string>()
  const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url ?? '')
    const { range } = request.headers
    requests.push(`${request.method} ${path}${range ? ` ${range}` : ''}`)
    // The storage is another host, to which the token of the hub must not go.
    const isStorage = request.headers.host?.startsWith('localhost')
    tokens[isStorage ? 'storage' : 'hub'].add(request.headers.authorization)
    if (options.intercept?.(request, response)) return
    const fail = (code: string) => response.writeHead(404, { 'x-error-code': code }).end()

    const [, model, revision] = /^\/api\/models\/(.+)\/revision\/(.+)$/.exec(path) ?? []
    if (model !== undefined) {
      const files = options.repositories[model]
      if (files === undefined) return fail('RepoNotFound')
      if (revision !== 'main' && revision !== commit) return fail('RevisionNotFound')
      const siblings = Object.keys(files).map(rfilename => ({ rfilename }))
      return response.end(JSON.stringify({ id: model, sha: commit, siblings }))
    }
    const [, repository = '', at = '', name = ''] =
      /^\/([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(path) ?? []
    const content = options.repositories[repository]?.[name]
    if (content === undefined || !['main', commit].includes(at)) return fail('EntryNotFound')
    const bytes = Buffer.from(content)
    const isLarge = options.large?.test(name) ?? false
    response.setHeader('x-repo-commit', commit)
    if (isLarge && !isStorage) {
      response.setHeader('x-linked-etag', `"${hash('sha256', bytes, 'hex')}"`)
      response.setHeader('x-linked-size', bytes.length)
      response.setHeader('location', `http://localhost:${port}${request.url}`)
      return response.writeHead(302).end('Found')
    }
    const sha1 = hash('sha1', Buffer.concat([Buffer.from(`blob ${bytes.length}\0`), bytes]), 'hex')
    response.setHeader('etag', `W/"${sha1}"`)
    const from = Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0)
    response.writeHead(from > 0 ? 206 : 200, { 'content-length': bytes.length - from })
    if (request.method === 'HEAD') return response.end()
    if (isLarge && options.breakAfter !== undefined && !broken.has(name)) {
      broken.add(name)
      response.write(bytes.subarray(from, from + options.breakAfter))
      return setTimeout(() => response.destroy(), 50)
    }
    return response.end(bytes.subarray(from))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    origin: `http://127.0.0.1:${port}`,
    requests,
    tokens,
    commit,
    close() {
      server.closeAllConnections()
      return new Promise(resolve => server.close(() => resolve()))
    },
  }
}
