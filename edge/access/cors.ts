const METHODS = 'GET, POST, PUT, DELETE, HEAD, OPTIONS'

/** For a preflight that does not say what it wants; otherwise its own list is reflected. */
const REQUEST_HEADERS =
  'content-type, authorization, x-api-key, anthropic-version, anthropic-beta, x-request-id'

const rateLimits = ['limit', 'remaining', 'reset'].flatMap(kind => [
  `x-ratelimit-${kind}-requests`,
  `x-ratelimit-${kind}-tokens`,
])

const EXPOSED = [
  'x-request-id',
  'request-id',
  'retry-after',
  'retry-after-ms',
  'x-should-retry',
  'x-warning',
  'openai-processing-ms',
  'openai-version',
  ...rateLimits,
].join(', ')

/**
 * The CORS headers that every answer carries, errors included.
 * @param origins that may read the answer
 */
export function corsHeaders(origins: string[], request: Request): Record<string, string> {
  const exposed = { 'access-control-expose-headers': EXPOSED }
  if (origins.includes('*')) return { 'access-control-allow-origin': '*', ...exposed }
  const vary = { vary: 'origin' }
  const origin = request.headers.get('origin')
  if (origin === null || !origins.includes(origin)) return vary
  return { 'access-control-allow-origin': origin, ...exposed, ...vary }
}

/**
 * Answers OPTIONS: a preflight of one of `origins` with what it asks for, anything else with the methods of the route.
 */
export function answerOptions(
  origins: string[],
  request: Request,
  allowedMethods: string[],
): Response {
  const headers = new Headers({ allow: allowedMethods.join(', ') || METHODS })
  const allowed = origins.includes('*') || origins.includes(request.headers.get('origin') ?? '')
  if (allowed && request.headers.has('access-control-request-method')) {
    headers.set('access-control-allow-methods', METHODS)
    headers.set(
      'access-control-allow-headers',
      request.headers.get('access-control-request-headers') ?? REQUEST_HEADERS,
    )
    headers.set('access-control-max-age', '86400')
    headers.append('vary', 'access-control-request-headers')
    // A page on https may call a server on the user's own machine only with this consent.
    if (request.headers.get('access-control-request-private-network') === 'true') {
      headers.set('access-control-allow-private-network', 'true')
    }
  }
  return new Response(null, { status: 204, headers })
}
