import { Ajv2020 } from 'ajv/dist/2020.js'
import { openapiDocument } from '../../edge/openapi/document.ts'
import type { Deployment } from './deployment.ts'

interface Described {
  content: Record<string, { schema: object }>
}

interface OpenapiDocument {
  paths: Record<string, Record<string, { responses: Record<string, Described | { $ref: string }> }>>
  components: { responses: Record<string, Described> }
}

const document = openapiDocument({ hasKeys: false }) as unknown as OpenapiDocument
const ajv = new Ajv2020({ strict: false }).addSchema(document, 'openapi')

/** A path that is written out is no parameter of another. */
const routes = Object.entries(document.paths)
  .map(([path, operations]) => ({
    operations,
    pattern: new RegExp(`^${bare(path).replace(/\{\w+\}/g, '.+')}$`),
    numParameters: path.split('{').length,
  }))
  .toSorted((a, b) => a.numParameters - b.numParameters)

/** Holds every answer against what `/openapi.json` says of its route; others pass. @throws Error where they differ */
export function documentedFetch(fetch: Deployment['fetch']): Deployment['fetch'] {
  return async (path, init) => {
    const response = await fetch(path, init)
    const method = (init?.method ?? 'GET').toLowerCase()
    const operation = routes.find(({ pattern }) => pattern.test(bare(path)))?.operations[method]
    if (operation === undefined) return response
    const where = `${method} ${path}: ${response.status}`
    const found = operation.responses[response.status]
    if (found === undefined) throw new Error(`${where} is not in /openapi.json`)
    const { content } =
      '$ref' in found
        ? (document.components.responses[nameOf(found.$ref)] ?? { content: {} })
        : found
    const [type = ''] = (response.headers.get('content-type') ?? '').split(';')
    const schema = content[type]?.schema
    if (schema === undefined) throw new Error(`${where} has the undocumented type '${type}'`)
    if (type === 'application/json') {
      const body: unknown = await response.clone().json()
      const validate = ajv.compile(withAbsoluteRefs(schema))
      if (!validate(body)) throw new Error(`${where} differs: ${ajv.errorsText(validate.errors)}`)
    }
    return response
  }
}

function bare(path: string): string {
  const { pathname } = new URL(path.replace(/^\/+/, '/'), 'http://server')
  return pathname
    .replace(/\/{2,}/g, '/')
    .replace(/^\/v1(?=\/)/, '')
    .replace(/(.)\/$/, '$1')
}

function nameOf(ref: string): string {
  return ref.slice(ref.lastIndexOf('/') + 1)
}

function withAbsoluteRefs(schema: object): object {
  return JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"openapi#/'))
}
