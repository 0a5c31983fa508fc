import { ApiError } from '../errors.ts'

/**
 * What a web page of any origin may use while `*` is allowed: asking for answers, and what that takes. Every other route, and
 * every one that is added, is for pages of this server and of the origins that were named. Paths are without `/v1`.
 */
const openRoutes: [methods: string[], path: RegExp][] = [
  [['GET', 'HEAD'], /^\/models(\/.*)?$/],
  [['POST'], /^\/((chat\/)?completions|embeddings|(de)?tokenize|apply-template)$/],
  [['POST'], /^\/messages(\/count_tokens)?$/],
  // Their ids cannot be guessed.
  [['GET', 'HEAD', 'POST', 'DELETE'], /^\/responses(\/.*)?$/],
]

export interface GuardOptions {
  /** Exact origins, or `['*']` for any. */
  origins: string[]
  /** Names by which this server may be called; addresses and localhost always are. `['*']`: any. */
  hosts: string[]
}

/**
 * Keeps web pages from driving a server that asks for no key: a browser on the same machine or network reaches it for any
 * page that is open in it. See docs/decisions/browser-pages.md.
 */
export class OriginGuard {
  readonly #any: boolean
  readonly #named: ReadonlySet<string>
  readonly #hosts: ReadonlySet<string>

  constructor({ origins, hosts }: GuardOptions) {
    this.#any = origins.includes('*')
    this.#named = new Set(origins.filter(origin => origin !== '*'))
    this.#hosts = new Set(hosts.map(host => host.toLowerCase()))
  }

  /** The origins whose pages may use what is not open to all. */
  get named(): string[] {
    return [...this.#named]
  }

  /**
   * @param open whether the route is open to pages
   * @throws ApiError 403 for a request that a foreign page has made, or may have
   */
  check(request: Request, open: boolean): void {
    // Only a page has an origin; to other clients the name of the server means nothing.
    if (open && (this.#any || !request.headers.has('origin'))) return
    this.#checkHost(request)
    if (!this.#isOwnPage(request)) throw foreignPage(request)
  }

  /** A page whose own name was made to mean this machine (DNS rebinding) passes for one of this server's, but for its name. */
  #checkHost(request: Request): void {
    const { hostname } = new URL(request.url)
    if (isAddress(hostname) || this.#hosts.has('*') || this.#hosts.has(hostname)) return
    throw forbidden(
      `This server was called '${hostname}', which it does not know as a name of its own. ` +
        `If it is one, start the server with --allowed-host ${hostname}.`,
    )
  }

  /** In the order of what cannot be forged: browsers let no page set these headers. */
  #isOwnPage({ headers, method, url }: Request): boolean {
    const origin = headers.get('origin')
    if (origin !== null && this.#named.has(origin)) return true
    const site = headers.get('sec-fetch-site')
    if (site === 'same-origin' || site === 'none') return true
    // Following a link changes nothing here, and shows its result to nobody but the user.
    const follows = headers.get('sec-fetch-mode') === 'navigate'
    if (site !== null) return follows && (method === 'GET' || method === 'HEAD')
    return origin === null || origin === new URL(url).origin
  }
}

/** Whether a page of any origin may use the route, unless the operator names origins. */
export function isOpenToPages(method: string, path: string): boolean {
  return openRoutes.some(([methods, known]) => methods.includes(method) && known.test(path))
}

/** What no name server has a say in. */
function isAddress(hostname: string): boolean {
  return (
    /^\d+(\.\d+){3}$/.test(hostname) ||
    hostname.startsWith('[') ||
    hostname === 'localhost' ||
    hostname.endsWith('.localhost')
  )
}

function foreignPage({ headers, method, url }: Request): ApiError {
  const page = headers.get('origin') ?? 'another site'
  const allow = headers.has('origin') ? `--cors-origin ${page}` : '--cors-origin'
  return forbidden(
    `A page of ${page} may not use ${method} ${new URL(url).pathname}. ` +
      `Allow it with ${allow}, or give clients keys (--api-key).`,
  )
}

function forbidden(message: string): ApiError {
  return new ApiError({ status: 403, type: 'permission_error', code: 'forbidden', message })
}
