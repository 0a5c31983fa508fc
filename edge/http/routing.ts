import type { Env, Hono } from 'hono'
import { ApiError } from '../errors.ts'

const METHODS = ['GET', 'POST', 'PUT', 'DELETE']

/** What answers a path. */
export interface Route {
  /** That of the method, as in `/models/:id{.+}`; undefined where none takes it. */
  pattern: string | undefined
  /** Every method that the path takes; empty where there is no such path. */
  allowed: string[]
}

/** Users get the base URL wrong in every direction: `/v1` may be missing, and slashes may be too many. */
export function routePath(path: string): string {
  const bare = path.replace(/\/{2,}/g, '/').replace(/^\/v1(?=\/|$)/, '')
  return bare.length > 1 ? bare.replace(/\/$/, '') : '/'
}

/** A path that is written out in one route is no parameter of another, whatever their methods: `/models/unload` is no model. */
export function routeOf<E extends Env>(
  { routes, router }: Hono<E>,
  method: string,
  path: string,
): Route {
  const fixed = routes.filter(route => route.path === path && METHODS.includes(route.method))
  const taking =
    fixed.length > 0
      ? fixed
      : METHODS.flatMap(known =>
          router.match(known, path)[0].flatMap(([[, route]]) =>
            // What is left are middlewares, which match everything.
            route.method === known ? route : [],
          ),
        )
  const found = METHODS.filter(known => taking.some(route => route.method === known))
  const handled = method === 'HEAD' ? 'GET' : method
  return {
    pattern: taking.find(route => route.method === handled)?.path,
    allowed:
      found.length === 0 ? [] : [...found, ...(found.includes('GET') ? ['HEAD'] : []), 'OPTIONS'],
  }
}

/** 405 where other methods are allowed, else 404. */
export function noRoute(request: Request, allowed: string[]): ApiError {
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
