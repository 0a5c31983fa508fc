import type { Hono } from 'hono'
import type { RouteDeps } from '../deps.ts'
import { ApiError } from '../errors.ts'
import type { AppEnv } from '../http/requestScope.ts'
import { DOCS_HTML, DOCS_POLICY, DOCS_SCRIPT, docsAssets, JAVASCRIPT } from './docsPage.ts'
import { openapiDocument } from './document.ts'

const PAGE = '/docs'
const START_SCRIPT = '/docs/start.js'
const documentPaths = ['/openapi.json', '/api-doc/openapi.json']

/** Paths that need no key: what the API looks like is no secret, and a browser has no key when it opens a page. */
export const docsPaths = [...documentPaths, PAGE, START_SCRIPT, ...Object.keys(docsAssets)]

const CACHE_CONTROL = 'public, max-age=3600'

/**
 * Adds the OpenAPI document and, where the host has the files, the page that shows it.
 * @param hasKeys whether clients need one
 */
export function addDocsRoutes(app: Hono<AppEnv>, { assets }: RouteDeps, hasKeys: boolean): void {
  let document: string | undefined
  for (const path of documentPaths) {
    app.get(path, c => {
      // Made when somebody wants it: a Worker that starts has no time for it.
      document ??= JSON.stringify(openapiDocument({ hasKeys }))
      return c.body(document, 200, { 'content-type': 'application/json' })
    })
  }

  app.get(PAGE, () => {
    if (assets === undefined) throw noPage()
    return pageFile(DOCS_HTML, 'text/html; charset=utf-8')
  })
  app.get(START_SCRIPT, () => pageFile(DOCS_SCRIPT, JAVASCRIPT))
  for (const [path, type] of Object.entries(docsAssets)) {
    app.get(path, async () => {
      const file = await assets?.(path)
      if (file === undefined) throw noPage()
      return pageFile(file.body, type)
    })
  }
}

function pageFile(body: ReadableStream | string | null, type: string): Response {
  return new Response(body, {
    headers: {
      'content-type': type,
      'content-security-policy': DOCS_POLICY,
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cache-control': CACHE_CONTROL,
    },
  })
}

function noPage(): ApiError {
  return new ApiError({
    status: 404,
    type: 'invalid_request_error',
    code: 'unknown_url',
    message: 'This server has no files for a documentation page; GET /openapi.json describes it.',
  })
}
