import { type Context, Hono } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { getPath } from 'hono/utils/url'
import { createAuth } from './access/auth.ts'
import { answerOptions, corsHeaders } from './access/cors.ts'
import { isOpenToPages, OriginGuard } from './access/originGuard.ts'
import { anthropicErrorBody, anthropicOutcome } from './anthropic/errorBody.ts'
import { addAnthropicRoutes, isAnthropicPath } from './anthropic/routes.ts'
import type { AppDeps, RouteDeps } from './deps.ts'
import { EngineError } from './engine.ts'
import { ApiError, errorHeaders, fromEngineError, internalError } from './errors.ts'
import { type AppEnv, RequestScope } from './http/requestScope.ts'
import { noRoute, routeOf, routePath } from './http/routing.ts'
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

/** Paths that need no key. */
const openPaths = [...probePaths, ...docsPaths]

/** Nobody reads it; the number is what logs and proxies call a request whose client went away. */
const CLIENT_CLOSED_REQUEST = 499

/** Everything `createApp` needs from its host. */
export interface HostDeps extends AppDeps {
  /** Keeps the responses of the Responses API; `off`: nothing is kept; default in memory. */
  responses?: ResponseStore | 'off'
}

/**
 * Builds the server's HTTP application over an engine. It uses Web standards only: any host that can call
 * `app.fetch(request)` can run it.
 */
export function createApp(deps: HostDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>({ getPath: request => routePath(getPath(request)) })
  const authenticate = createAuth(deps.auth, deps.clock)
  // A page that has a key was given it.
  const guard =
    authenticate === undefined
      ? new OriginGuard({ origins: deps.cors.origins, hosts: deps.hosts })
      : undefined
  const isOpen = (method: string, path: string, allowed: string[]) =>
    openPaths.includes(path) || isOpenToPages(method, path) || !allowed.includes(method)
  const originsFor = ({ req, var: { route } }: Context<AppEnv>) =>
    guard === undefined || isOpen(wantedMethod(req.raw), req.path, route.allowed)
      ? deps.cors.origins
      : guard.named

  app.use(async (c, next) => {
    const route = routeOf(app, c.req.method, c.req.path)
    c.set('route', route)
    const scope = new RequestScope(deps, c.req.raw, {
      pattern: route.pattern,
      cors: corsHeaders(originsFor(c), c.req.raw),
    })
    c.set('scope', scope)
    await next()
    if (scope.streaming) return
    const { headers, status } = c.res
    for (const [name, value] of Object.entries(scope.answerHeaders())) {
      if (name === 'vary') headers.append(name, value)
      else headers.set(name, value)
    }
    scope.end(status < 400 ? 'completed' : 'error', status)
  })

  app.use(async (c, next) => {
    const { raw, method, path } = c.req
    const { allowed } = c.var.route
    if (method === 'OPTIONS') return answerOptions(originsFor(c), raw, allowed)
    if (!openPaths.includes(path)) {
      guard?.check(raw, isOpen(method, path, allowed))
      if (authenticate !== undefined) c.var.scope.identify(await authenticate(raw))
    }
    if (!allowed.includes(method)) throw noRoute(raw, allowed)
    return next()
  })

  const routeDeps: RouteDeps = deps
  addServiceRoutes(app, routeDeps)
  addDocsRoutes(app, routeDeps, authenticate !== undefined)
  addTokenizeRoutes(app, routeDeps)
  addModelRoutes(app, routeDeps)
  addOpenaiRoutes(app, routeDeps)
  addAnthropicRoutes(app, routeDeps)
  addResponsesRoutes(app, routeDeps, responseStore(deps))
  addCancelRoute(app)

  app.onError((error, c) => {
    // Whatever broke after the client left is a consequence of that.
    if (c.req.raw.signal.aborted) {
      c.var.scope.end('client_disconnected', CLIENT_CLOSED_REQUEST)
      return new Response(null, { status: CLIENT_CLOSED_REQUEST })
    }
    const { data } = toApiError(error)
    if (data.status === 500) c.var.scope.reportInternalError(error)
    const isAnthropic = isAnthropicPath(c.req.path)
    const status = isAnthropic ? anthropicOutcome(data.status).status : data.status
    const body = isAnthropic ? anthropicErrorBody(data, c.var.scope.id) : errorBody(data)
    return c.json(body, status as ContentfulStatusCode, errorHeaders(data))
  })

  return app
}

/** The method of a request, or the one that it is the preflight of. */
function wantedMethod({ headers, method }: Request): string {
  return method === 'OPTIONS' ? (headers.get('access-control-request-method') ?? method) : method
}

function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error
  if (error instanceof EngineError) return fromEngineError(error.toData(), path => path)
  return internalError(error)
}

function responseStore({ responses, clock }: HostDeps): ResponseStore | undefined {
  return responses === 'off' ? undefined : (responses ?? createMemoryResponseStore(clock))
}
