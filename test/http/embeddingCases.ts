import { expect } from 'vitest'
import { scriptedModel } from '../../edge/scripted/scriptedEngine.ts'
import { type HttpCase, post } from './httpSuite.ts'

const EMBEDDINGS = '/v1/embeddings'
const models = [{ ...scriptedModel, embeddingSize: 8 }]

interface Answer {
  data: { index: number; embedding: number[] | string }[]
  usage: { prompt_tokens: number }
}

export const embeddingCases: HttpCase[] = [
  {
    name: 'every form of an input has its embeddings, as numbers and as base64',
    scenario: { engine: { models } },
    async run({ fetch }) {
      const ask = async (fields: object) => {
        const response = await fetch(EMBEDDINGS, post({ model: 'default', ...fields }))
        expect(response.status).toBe(200)
        return (await response.json()) as Answer
      }
      const one = await ask({ input: 'hi' })
      expect(one).toMatchObject({
        object: 'list',
        model: scriptedModel.id,
        data: [{ object: 'embedding', index: 0 }],
        usage: { prompt_tokens: 2, total_tokens: 2 },
      })
      const vector = one.data[0]?.embedding as number[]
      expect(vector).toHaveLength(8)
      expect(Math.hypot(...vector)).toBeCloseTo(1, 5)
      const many = await ask({ input: ['hi', [104, 105]] })
      expect(many.data.map(({ index, embedding }) => [index, embedding])).toEqual([
        [0, vector],
        [1, vector],
      ])
      expect((await ask({ input: [104, 105], dimensions: null })).data[0]?.embedding).toEqual(
        vector,
      )
      const encoded = await ask({ input: 'hi', encoding_format: 'base64' })
      const bytes = Buffer.from(String(encoded.data[0]?.embedding), 'base64')
      expect(vector.map((_, i) => bytes.readFloatLE(4 * i))).toEqual(vector)
    },
  },
  {
    name: 'mistakes in a request for embeddings name their field',
    scenario: { engine: { models } },
    async run({ fetch }) {
      for (const [fields, param] of [
        [{}, 'input'],
        [{ input: '' }, 'input'],
        [{ input: [] }, 'input'],
        [{ input: ['a', ''] }, 'input[1]'],
        [{ input: ['a', 5] }, 'input[1]'],
        [{ input: [[]] }, 'input[0]'],
        [{ input: [1e9] }, 'input'],
        [{ input: Array(2049).fill('a') }, 'input'],
        [{ input: 'a', dimensions: 9 }, 'dimensions'],
        [{ input: 'a', dimensions: 0 }, 'dimensions'],
        [{ input: 'a', encoding_format: 'hex' }, 'encoding_format'],
      ] as const) {
        const response = await fetch(EMBEDDINGS, post(fields))
        const { error } = (await response.json()) as { error: { param: string } }
        expect([response.status, error.param]).toEqual([400, param])
      }
    },
  },
  {
    name: 'a model that generates makes no embeddings',
    async run({ fetch }) {
      const response = await fetch(EMBEDDINGS, post({ input: 'a' }))
      expect(response.status).toBe(400)
      expect(await response.json()).toMatchObject({ error: { param: 'model' } })
    },
  },
]
