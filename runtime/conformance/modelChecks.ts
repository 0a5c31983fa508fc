import { z } from 'zod'
import { parseJson } from './api.ts'
import { type Check, fits, must, mustSucceed } from './check.ts'

const modelShape = z.object({
  id: z.string().min(1),
  object: z.literal('model'),
  created: z.int(),
  owned_by: z.string(),
})

export const modelChecks: Check[] = [
  {
    name: 'a list of models',
    section: '15',
    async run(api) {
      const answer = await api.send('GET', '/v1/models')
      mustSucceed(answer, 'GET /v1/models')
      const shape = z.object({ object: z.literal('list'), data: z.array(modelShape).min(1) })
      fits(shape, parseJson(answer.text, 'the list'), 'list')
    },
  },
  {
    name: 'one model by its id, slashes encoded or not',
    section: '15',
    async run(api) {
      for (const id of [api.model, encodeURIComponent(api.model)]) {
        const answer = await api.send('GET', `/v1/models/${id}`)
        mustSucceed(answer, `GET /v1/models/${id}`)
        fits(modelShape, parseJson(answer.text, 'the model'), 'model')
      }
    },
  },
  {
    name: 'an unknown model is 404',
    section: '15',
    async run(api) {
      const { status } = await api.send('GET', '/v1/models/no/such-model')
      must(status === 404, `answered ${status}`)
    },
  },
]
