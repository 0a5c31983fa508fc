import assert from 'node:assert/strict'
import { BadRequestError, NotFoundError } from 'openai'
import type { OpenaiCheck } from './openaiChecks.ts'

const input = 'Count from one to five.'
const short = { input, max_output_tokens: 8, temperature: 0 }

/** What the official client must be able to do with the Responses API of any server of ours. */
export const responsesChecks: OpenaiCheck[] = [
  {
    name: 'responses.create, retrieve, input items, delete',
    async run(client, model) {
      const { data: created, request_id } = await client.responses
        .create({ ...short, model: 'default' })
        .withResponse()
      assert.match(request_id ?? '', /^req_/)
      assert.equal(created.model, model)
      assert.equal(typeof created.output_text, 'string')
      const { input_tokens = 0, output_tokens = 0, total_tokens } = created.usage ?? {}
      assert.equal(total_tokens, input_tokens + output_tokens)
      const retrieved = await client.responses.retrieve(created.id)
      assert.deepEqual(retrieved, created)
      const items = []
      for await (const item of client.responses.inputItems.list(created.id)) items.push(item)
      assert.equal(items.length, 1)
      await client.responses.delete(created.id)
      await assert.rejects(client.responses.retrieve(created.id), NotFoundError)
    },
  },
  {
    name: "responses.stream, in the SDK's own accumulator",
    async run(client, model) {
      const whole = await client.responses.create({ ...short, model })
      let text = ''
      const stream = client.responses
        .stream({ ...short, model })
        .on('response.output_text.delta', ({ delta }) => {
          text += delta
        })
      const final = await stream.finalResponse()
      assert.equal(final.output_text, whole.output_text)
      assert.equal(text, whole.output_text)
      assert.equal(final.status, whole.status)
    },
  },
  {
    name: 'a stream in a loop has numbers without gaps and an end',
    async run(client, model) {
      const numbers: number[] = []
      let last = ''
      for await (const event of await client.responses.create({ ...short, model, stream: true })) {
        numbers.push(event.sequence_number)
        last = event.type
      }
      assert.deepEqual(numbers, [...numbers.keys()])
      assert.match(last, /^response\.(completed|incomplete)$/)
    },
  },
  {
    name: 'a conversation by previous_response_id',
    async run(client, model) {
      const first = await client.responses.create({ ...short, model })
      const second = await client.responses.create({
        ...short,
        model,
        previous_response_id: first.id,
      })
      assert.equal(second.previous_response_id, first.id)
      assert.ok((second.usage?.input_tokens ?? 0) > (first.usage?.input_tokens ?? 0))
      await assert.rejects(
        client.responses.create({ ...short, model, previous_response_id: 'resp_none' }),
        error => {
          assert.ok(error instanceof NotFoundError)
          assert.equal(error.code, 'previous_response_not_found')
          return true
        },
      )
    },
  },
  {
    name: 'a response in the background: polled, streamed again, cancelled',
    async run(client, model) {
      let response = await client.responses.create({ ...short, model, background: true })
      assert.ok(['queued', 'in_progress'].includes(response.status ?? ''))
      while (response.status === 'queued' || response.status === 'in_progress') {
        await new Promise(resolve => setTimeout(resolve, 20))
        response = await client.responses.retrieve(response.id)
      }
      assert.ok(['completed', 'incomplete'].includes(response.status ?? ''))
      const replayed = client.responses.stream({ response_id: response.id, starting_after: 3 })
      const numbers: number[] = []
      for await (const { sequence_number } of replayed) numbers.push(sequence_number)
      assert.equal(numbers[0], 4)
      assert.equal((await replayed.finalResponse()).output_text, response.output_text)
      const long = { ...short, model, max_output_tokens: 500, background: true }
      const { id } = await client.responses.create(long)
      const cancelled = await client.responses.cancel(id)
      assert.ok(['cancelled', 'completed', 'incomplete'].includes(cancelled.status ?? ''))
      assert.deepEqual(await client.responses.cancel(id), cancelled)
    },
  },
  {
    name: 'a broken stream is taken up where it broke off',
    async run(client, model) {
      const request = { ...short, model, background: true, stream: true } as const
      let id = ''
      let seen = -1
      for await (const event of await client.responses.create(request)) {
        if (event.type === 'response.created') id = event.response.id
        seen = event.sequence_number
        if (seen === 3) break
      }
      const rest = await client.responses.retrieve(id, { stream: true, starting_after: seen })
      let last = ''
      for await (const event of rest) {
        assert.equal(event.sequence_number, ++seen)
        last = event.type
      }
      assert.match(last, /^response\.(completed|incomplete)$/)
    },
  },
  {
    name: 'input tokens are counted',
    async run(client, model) {
      const { input_tokens } = await client.responses.inputTokens.count({ model, input })
      const { usage } = await client.responses.create({ ...short, model })
      assert.equal(input_tokens, usage?.input_tokens)
    },
  },
  {
    name: 'errors are the right class and carry code and param',
    async run(client, model) {
      for (const stream of [false, true]) {
        await assert.rejects(
          client.responses.create({ ...short, model, temperature: 9, stream }),
          error => {
            assert.ok(error instanceof BadRequestError)
            assert.deepEqual([error.code, error.param], ['invalid_value', 'temperature'])
            return true
          },
        )
      }
    },
  },
]
