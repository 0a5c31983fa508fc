import { z } from 'zod'
import { componentRef } from '../componentRef.ts'
import type { JsonObject } from '../engine.ts'
import { anthropicBodies } from './anthropicBodies.ts'
import { anthropicOperations } from './anthropicOperations.ts'
import { compactSchema } from './compactSchema.ts'
import { failureComponents, failureResponses } from './failures.ts'
import { openaiBodies } from './openaiBodies.ts'
import { openaiOperations } from './openaiOperations.ts'
import type { Answer, Operation } from './operation.ts'
import { responsesBodies } from './responsesBodies.ts'
import { responsesOperations } from './responsesOperations.ts'
import { serviceBodies } from './serviceBodies.ts'
import { serviceOperations } from './serviceOperations.ts'

const operations: Operation[] = [
  ...openaiOperations,
  ...responsesOperations,
  ...anthropicOperations,
  ...serviceOperations,
]

/** Of package.json, which as a whole has no place in a Worker; a test compares the two. */
const openapiInfo = {
  title: 'mistralrs',
  version: '0.1.0',
  description:
    'Serve a language model: one command on a laptop, a Worker plus a GPU container in production',
  license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
}

/**
 * The OpenAPI 3.1 document of the whole API. Bodies of requests come from the very schemas that check them.
 * @param hasKeys whether clients need one
 */
export function openapiDocument({ hasKeys }: { hasKeys: boolean }): JsonObject {
  const registry = z.registry<{ id: string }>()
  const bodies = { ...openaiBodies, ...responsesBodies, ...anthropicBodies, ...serviceBodies }
  for (const [id, schema] of Object.entries(bodies)) registry.add(schema, { id })
  const ref = (schema: z.ZodType) => {
    const { id } = registry.get(schema) ?? {}
    if (id === undefined) throw new Error('A schema of the API has no name.')
    return { $ref: componentRef(id) }
  }
  const { schemas } = z.toJSONSchema(registry, { io: 'input', uri: componentRef })
  const keys = [{ bearer: [] }, { apiKey: [] }]
  return {
    openapi: '3.1.0',
    info: openapiInfo,
    security: hasKeys ? keys : [{}, ...keys],
    tags: [...new Set(operations.map(({ tag }) => tag))].map(name => ({ name })),
    paths: pathsOf(ref),
    components: {
      schemas: Object.fromEntries(
        Object.entries(schemas).map(([id, schema]) => [id, compactSchema(schema as JsonObject)]),
      ),
      responses: failureComponents(),
      headers: {
        'x-request-id': header('string', 'Id of the request, as it is in the log.'),
        'retry-after': header('integer', 'Seconds after which to try again.'),
        'retry-after-ms': header('integer', 'The same in milliseconds.'),
      },
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer' },
        apiKey: { type: 'apiKey', in: 'header', name: 'x-api-key' },
      },
    },
  }
}

type Ref = (schema: z.ZodType) => JsonObject

function pathsOf(ref: Ref): JsonObject {
  const paths: Record<string, JsonObject> = {}
  for (const operation of operations) {
    const { path, method } = operation
    paths[path] = { ...paths[path], [method]: operationObject(operation, ref) }
  }
  return paths
}

function operationObject(operation: Operation, ref: Ref): JsonObject {
  const { id, tag, summary, parameters, body, answer, stream, open, unready } = operation
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(open && { security: [] }),
    ...(parameters && {
      parameters: parameters.map(parameter => ({
        ...parameter,
        required: parameter.in === 'path',
      })),
    }),
    ...(body && {
      requestBody: {
        required: true,
        content: { 'application/json': { schema: ref(body.schema), example: body.example } },
      },
    }),
    responses: {
      200: {
        description: summary,
        headers: { 'x-request-id': { $ref: '#/components/headers/x-request-id' } },
        content: {
          ...answerContent(answer, ref),
          ...(stream !== undefined && streamContent(stream)),
        },
      },
      ...failureResponses(operation),
      ...(unready && { 503: { description: 'Not now.', content: answerContent(unready, ref) } }),
    },
  }
}

function answerContent(answer: Answer, ref: Ref): JsonObject {
  if (!('text' in answer)) return { 'application/json': { schema: ref(answer) } }
  const type = answer.text === 'application/json' ? 'object' : 'string'
  return { [answer.text]: { schema: { type, description: answer.description } } }
}

/** With a schema of one event: what a stream is as a whole is not in this version of OpenAPI. */
function streamContent(events: string): JsonObject {
  return {
    'text/event-stream': {
      schema: {
        type: 'object',
        description: `With \`"stream": true\`: ${events}.`,
        properties: { event: { type: 'string' }, data: { type: 'string' } },
      },
    },
  }
}

function header(type: string, description: string): JsonObject {
  return { description, schema: { type } }
}
