import { Validator } from '@seriousme/openapi-schema-validator'
import { expect, test } from 'vitest'
import packageJson from '../../package.json' with { type: 'json' }
import { appDefaults } from '../../test/http/deployment.ts'
import { createApp } from '../app.ts'
import { createScriptedEngine } from '../scripted/scriptedEngine.ts'
import { openapiDocument } from './document.ts'

const document = openapiDocument({ hasKeys: false })
const paths = document.paths as Record<string, Record<string, { operationId: string }>>

test('the document is valid OpenAPI 3.1', async () => {
  const { valid, errors } = await new Validator().validate(structuredClone(document))
  expect(errors).toBeUndefined()
  expect(valid).toBe(true)
})

test('it says what package.json says', () => {
  const { name, version, description, license } = packageJson
  expect(document.info).toMatchObject({ title: name, version, description })
  expect(document.info).toHaveProperty('license.identifier', license)
})

test('a broken document is not', async () => {
  const { valid } = await new Validator().validate({ ...document, paths: { '/x': { get: 1 } } })
  expect(valid).toBe(false)
})

test('every reference leads somewhere, and every schema is used', () => {
  const refs = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/(.*?)"/g)].map(
    ([, path = '']) => path,
  )
  const { schemas = {}, ...others } = document.components as Record<string, object>
  for (const ref of refs) {
    const [kind = '', name = ''] = ref.split('/')
    expect({ schemas, ...others }[kind], ref).toHaveProperty([name])
  }
  const unused = Object.keys(schemas).filter(name => !refs.includes(`schemas/${name}`))
  expect(unused).toEqual([])
})

test('every route is in the document, and no other', () => {
  const app = createApp({ ...appDefaults, engine: createScriptedEngine() })
  const routes = app.routes
    .filter(({ method, path }) => method !== 'ALL' && !isPage(path))
    .map(({ method, path }) => `${method} ${path.replace(/:(\w+)(\{.*?\})?/g, '{$1}')}`)
  const described = Object.entries(paths).flatMap(([path, operations]) =>
    Object.keys(operations).map(
      method => `${method.toUpperCase()} ${path.replace(/^\/v1(?=\/)/, '')}`,
    ),
  )
  expect(described.toSorted()).toEqual([...new Set(routes)].toSorted())
})

test('operations have names of their own', () => {
  const ids = Object.values(paths).flatMap(operations =>
    Object.values(operations).map(({ operationId }) => operationId),
  )
  expect(new Set(ids).size).toBe(ids.length)
})

test('keys are asked for where there are some', () => {
  const { security } = openapiDocument({ hasKeys: true })
  expect(security).toEqual([{ bearer: [] }, { apiKey: [] }])
  expect(document.security).toContainEqual({})
})

/** Pages for people are no part of the API. */
function isPage(path: string): boolean {
  return /^\/(docs|ui)(\/|$)/.test(path)
}
