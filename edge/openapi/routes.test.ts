import { describe, expect, test } from 'vitest'
import { appDefaults } from '../../test/http/deployment.ts'
import { createApp } from '../app.ts'
import type { AppDeps } from '../deps.ts'
import { createScriptedEngine } from '../scripted/scriptedEngine.ts'
import { docsAssets } from './docsPage.ts'

const { assets: _, ...defaults } = appDefaults

function appWith(deps: Partial<AppDeps>) {
  return createApp({ ...defaults, engine: createScriptedEngine(), ...deps })
}

const withAssets = appWith({
  assets: async path => (path.endsWith('.css') ? new Response('* {}') : undefined),
})

describe('the document', () => {
  test.each(['/openapi.json', '/api-doc/openapi.json', '/v1/openapi.json'])('%s', async path => {
    const response = await appWith({}).request(path)
    expect(response.headers.get('content-type')).toBe('application/json')
    expect(await response.json()).toMatchObject({ openapi: '3.1.0', security: [{}, {}, {}] })
  })

  test('needs no key where everything else does, and says so', async () => {
    const app = appWith({ auth: { apiKeys: ['secret'] } })
    const response = await app.request('/openapi.json')
    expect(response.status).toBe(200)
    expect(await response.json()).toMatchObject({ security: [{ bearer: [] }, { apiKey: [] }] })
    expect((await app.request('/v1/models')).status).toBe(401)
  })
})

describe('the page', () => {
  test('runs no script but its own files', async () => {
    const response = await withAssets.request('/docs')
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8')
    expect(response.headers.get('content-security-policy')).toContain("script-src 'self';")
    expect(response.headers.get('x-content-type-options')).toBe('nosniff')
    const html = await response.text()
    expect(html).not.toMatch(/<script(?! src=)|<style|style=|onload=/)
    const sources = [...html.matchAll(/(?:src|href)="(\/.*?)"/g)].map(([, path]) => path)
    expect(sources).toEqual([...Object.keys(docsAssets), '/docs/start.js'])
  })

  test('its files come from the host, or are not there', async () => {
    const css = await withAssets.request('/docs/swagger-ui.css')
    expect(await css.text()).toBe('* {}')
    expect(css.headers.get('content-type')).toBe('text/css; charset=utf-8')
    expect(css.headers.get('cache-control')).toBe('public, max-age=3600')
    expect((await withAssets.request('/docs/swagger-ui-bundle.js')).status).toBe(404)
    expect((await withAssets.request('/docs/../package.json')).status).toBe(404)
    expect((await withAssets.request('/docs/other.css')).status).toBe(404)
  })

  test('is not there without files, and the error names what is', async () => {
    const response = await appWith({}).request('/docs')
    expect(response.status).toBe(404)
    expect(await response.json()).toMatchObject({
      message: expect.stringContaining('/openapi.json'),
    })
  })
})
