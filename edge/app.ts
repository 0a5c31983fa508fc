import { type Context, Hono, type HonoRequest } from 'hono'
import { matchedRoutes } from 'hono/route'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { getPath } from 'hono/utils/url'
import { createAuth } from './access/auth.ts'
import { answerOptions, setCorsHeaders } from './access/cors.ts'
import { isOpenToPages, OriginGuard } from './access/originGuard.ts'
import { anthropicErrorBody, anthropicOutcome } from './anthropic/errorBody.ts'
import { addAnthropicRoutes, anthropicPaths } from './anthropic/routes.ts'
import type { AppDeps, RouteDeps } from './deps.ts'
import { EngineError } from './engine.ts'
import { ApiError, errorHeaders, fromEngineError, internalError } from './errors.ts'
import { type AppEnv, RequestScope } from './http/requestScope.ts'
import { errorBody } from './openai/errorBody.ts'
import { addOpenaiRoutes } from './openai/routes.ts'
import { addDocsRoutes, docsPaths } from './openapi/routes.ts'
import { createMemoryResponseStore } from './responseStore/memoryResponseStore.ts'
import type { ResponseStore } from './responses/responseStore.ts'
import { addResponsesRoutes } from './responses/routes.ts'
import { addCancelRoute } from './service/cancelRoute.ts'
import { addModelRoutes } from './service/modelRoutes.ts'
import { addServiceRoutes, probePaths } from './service/serviceRoutes.ts'
import { addTokenizeRoutes } from './service/tokenizeRoutes.ts'

const METHODS = ['GET', 'POST', 'PUT', 'DELETE']

/** Paths that need no key. */
const openPaths = [...probePaths, ...docsPaths]

const MAX_HEADER_LENGTH = 1000

/** Nobody reads it; the number is what logs and proxies call a request whose client went away. */
const CLIENT_CLOSED_REQUEST = 499

/**
 * Builds the server's HTTP application over an engine. It uses Web standards only: any host that can call
 * `app.fetch(request)` can run it.
 */
export function createApp(deps: AppDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>({ getPath: request => routePath(getPath(request)) })
  const { apiKeys = [], entries = [] } = deps.auth ?? {}
  const authenticate = createAuth({ apiKeys, entries }, deps.clock())
  // A page that has a key was given it.
  const guard =
    apiKeys.length + entries.length > 0
      ? undefined
      : new OriginGuard({ origins: deps.cors.origins, hosts: deps.hosts })
  const isOpen = (method: string, path: string) =>
    guard === undefined ||
    openPaths.includes(path) ||
    isOpenToPages(method, path) ||
    !allowedMethods(app, path).includes(method)
  const originsFor = ({ raw, path }: HonoRequest) =>
    isOpen(wantedMethod(raw), path) ? deps.cors.origins : (guard?.named ?? [])

  app.use(async (c, next) => {
    const scope = new RequestScope(deps, c.req.raw, routeOf(c))
    c.set('scope', scope)
    await next()
    const { headers, status } = c.res
    if (deps.requestIdHeader !== false) {
      headers.set('x-request-id', scope.id)
      // The name that Anthropic's clients read.
      headers.set('request-id', scope.id)
    }
    headers.set('openai-processing-ms', String(Math.round(scope.elapsedMs)))
    headers.set('openai-version', '2020-10-01')
    for (const [name, value] of Object.entries(scope.limitHeaders())) headers.set(name, value)
    if (scope.warnings.length > 0) headers.set('x-warning', headerText(scope.warnings))
    setCorsHeaders(originsFor(c.req), c.req.raw, headers)
    if (scope.streaming) return
    scope.end(status < 400 ? 'completed' : 'error', status)
  })

  app.use(async (c, next) => {
    const { raw, method, path } = c.req
    if (method === 'OPTIONS')
      return answerOptions(originsFor(c.req), raw, allowedMethods(app, path))
    if (!openPaths.includes(path)) {
      guard?.check(raw, isOpen(method, path))
      const client = await authenticate(raw)
      if (client !== undefined) c.var.scope.identify(client)
    }
    return next()
  })

  const routeDeps: RouteDeps = deps
  addServiceRoutes(app, routeDeps)
  addDocsRoutes(app, routeDeps)
  addTokenizeRoutes(app, routeDeps)
  addModelRoutes(app, routeDeps)
  addOpenaiRoutes(app, routeDeps)
  addAnthropicRoutes(app, routeDeps)
  addResponsesRoutes(app, routeDeps, responseStore(deps))
  addCancelRoute(app)

  app.notFound(c => {
    throw noRoute(c.req.raw, allowedMethods(app, c.req.path))
  })

  app.onError((error, c) => {
    // Whatever broke after the client left is a consequence of that.
    if (c.req.raw.signal.aborted) {
      c.var.scope.end('client_disconnected', CLIENT_CLOSED_REQUEST)
      return new Response(null, { status: CLIENT_CLOSED_REQUEST })
    }
    const { data } = toApiError(error)
    if (data.status === 500) c.var.scope.reportInternalError(error)
    const isAnthropic = anthropicPaths.includes(c.req.path)
    const status = isAnthropic ? anthropicOutcome(data.status).status : data.status
    const body = isAnthropic ? anthropicErrorBody(data, c.var.scope.id) : errorBody(data)
    return c.json(body, status as ContentfulStatusCode, errorHeaders(data))
  })

  return app
}

/** Users get the base URL wrong in every direction: `/v1` may be missing, and slashes may be too many. */
function routePath(path: string): string {
  const bare = path.replace(/\/{2,}/g, '/').replace(/^\/v1(?=\/|$)/, '')
  return bare.length > 1 ? bare.replace(/\/$/, '') : '/'
}

/** The pattern of the route that will answer; middleware matches everything. */
function routeOf(c: Context<AppEnv>): string | undefined {
  return matchedRoutes(c).findLast(({ method }) => method !== 'ALL')?.path
}

/** The method of a request, or the one that it is the preflight of. */
function wantedMethod({ headers, method }: Request): string {
  return method === 'OPTIONS' ? (headers.get('access-control-request-method') ?? method) : method
}

function allowedMethods(app: Hono<AppEnv>, path: string): string[] {
  const found = METHODS.filter(method =>
    app.router.match(method, path)[0].some(([[, route]]) => route.method === method),
  )
  if (found.length === 0) return []
  return [...found, ...(found.includes('GET') ? ['HEAD'] : []), 'OPTIONS']
}

/** What a header may carry; the texts may quote the request. */
function headerText(texts: string[]): string {
  return texts
    .join('; ')
    .replace(/[^\x20-\x7e]/g, '?')
    .slice(0, MAX_HEADER_LENGTH)
}

function noRoute(request: Request, allowed: string[]): ApiError {
  const { pathname, origin } = new URL(request.url)
  if (allowed.length > 0) {
    return new ApiError({
      status: 405,
      type: 'invalid_request_error',
      code: 'method_not_allowed',
      message: `${request.method} is not allowed for ${pathname}; allowed: ${allowed.join(', ')}.`,
      headers: { allow: allowed.join(', ') },
    })
  }
  const hint = /^\/+v1\/+v1(\/|$)/.test(pathname)
    ? ` The path has /v1 twice: use the base URL ${origin}, this client adds /v1 itself.`
    : ` The base URL for OpenAI clients is ${origin}/v1.`
  return new ApiError({
    status: 404,
    type: 'invalid_request_error',
    code: 'unknown_url',
    message: `Unknown request URL: ${request.method} ${pathname}.${hint}`,
  })
}

function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error
  if (error instanceof EngineError) return fromEngineError(error.toData(), path => path)
  return internalError(error)
}

function responseStore({ responses, clock }: AppDeps): ResponseStore | undefined {
  return responses === 'off' ? undefined : (responses ?? createMemoryResponseStore(clock))
}
