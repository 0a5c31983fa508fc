import { z } from 'zod'
import { type Api, parseJson } from './api.ts'
import { type Check, fits, must, mustBeHere } from './check.ts'

const PATH = '/v1/embeddings'
const shapeOf = <T extends z.ZodType>(embedding: T) =>
  z.object({
    object: z.literal('list'),
    model: z.string(),
    data: z.array(z.object({ object: z.literal('embedding'), index: z.int(), embedding })).min(1),
    usage: z.object({ prompt_tokens: z.int(), total_tokens: z.int() }),
  })
const numbers = shapeOf(z.array(z.number()).min(1))
const base64 = shapeOf(z.base64())

async function embed<T extends z.ZodType>(api: Api, shape: T, fields: object): Promise<z.infer<T>> {
  const answer = await api.post(PATH, fields)
  mustBeHere(answer, PATH)
  return fits(shape, parseJson(answer.text, 'the answer'), 'embeddings')
}

export const embeddingChecks: Check[] = [
  {
    name: 'numbers, in the order of the inputs',
    section: '11',
    async run(api) {
      const { data } = await embed(api, numbers, { input: ['One', 'Two'] })
      const indices = data.map(({ index }) => index).join()
      must(indices === '0,1', `indices are ${indices}`)
    },
  },
  {
    name: 'base64 holds the same numbers as little-endian float32',
    section: '11',
    async run(api) {
      const [plain] = (await embed(api, numbers, { input: 'One' })).data
      const request = { input: 'One', encoding_format: 'base64' }
      const [encoded] = (await embed(api, base64, request)).data
      const bytes = Buffer.from(encoded?.embedding ?? '', 'base64')
      const values = plain?.embedding ?? []
      must(bytes.length === 4 * values.length, `${bytes.length} bytes for ${values.length} numbers`)
      const isSame = values.every((value, i) => Math.abs(bytes.readFloatLE(4 * i) - value) < 1e-4)
      must(isSame, 'the numbers differ')
    },
  },
  {
    name: 'an empty input is refused',
    section: '11',
    async run(api) {
      await embed(api, numbers, { input: 'One' })
      for (const input of ['', []]) {
        const { status } = await api.post(PATH, { input })
        must(status === 400, `${JSON.stringify(input)} answered ${status}`)
      }
    },
  },
]
