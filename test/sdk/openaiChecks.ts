import assert from 'node:assert/strict'
import type OpenAI from 'openai'
import { APIUserAbortError, BadRequestError, NotFoundError } from 'openai'

export interface OpenaiCheck {
  name: string
  run(client: OpenAI, model: string): Promise<void>
}

const messages = [{ role: 'user' as const, content: 'Count from one to five.' }]
const short = { messages, max_tokens: 8, temperature: 0, seed: 1 }

/**
 * What the official client must be able to do with any server of ours, whatever the model: checks look at shapes and
 * at rules, never at particular words.
 */
export const openaiChecks: OpenaiCheck[] = [
  {
    name: 'models.list and models.retrieve',
    async run(client, model) {
      const ids = (await client.models.list()).data.map(({ id }) => id)
      assert.equal(ids[0], 'default')
      assert.ok(ids.includes(model))
      assert.equal((await client.models.retrieve(model)).id, model)
    },
  },
  {
    name: 'chat',
    async run(client, model) {
      const { data, request_id } = await client.chat.completions
        .create({ ...short, model: 'default' })
        .withResponse()
      assert.match(request_id ?? '', /^req_/)
      assert.match(data.id, /^chatcmpl-/)
      assert.equal(data.model, model)
      const [choice] = data.choices
      assert.equal(choice?.message.role, 'assistant')
      assert.equal(typeof choice?.message.content, 'string')
      const { prompt_tokens = 0, completion_tokens = 0, total_tokens } = data.usage ?? {}
      assert.ok(prompt_tokens > 0 && completion_tokens > 0 && completion_tokens <= 8)
      assert.equal(total_tokens, prompt_tokens + completion_tokens)
    },
  },
  {
    name: 'chat stream, in the loop of every tutorial',
    async run(client, model) {
      const whole = await client.chat.completions.create({ ...short, model })
      let text = ''
      const reasons: string[] = []
      for await (const chunk of await client.chat.completions.create({
        ...short,
        model,
        stream: true,
      })) {
        const [choice] = chunk.choices
        assert.ok(choice, 'a chunk without choices was not asked for')
        text += choice.delta.content ?? ''
        if (choice.finish_reason) reasons.push(choice.finish_reason)
      }
      assert.equal(text, whole.choices[0]?.message.content)
      assert.deepEqual(reasons, [whole.choices[0]?.finish_reason])
    },
  },
  {
    name: "the SDK's own accumulator, with usage",
    async run(client, model) {
      const stream_options = { include_usage: true }
      const stream = client.chat.completions.stream({ ...short, model, stream_options })
      const completion = await stream.finalChatCompletion()
      assert.equal(completion.choices[0]?.message.role, 'assistant')
      assert.ok((completion.usage?.completion_tokens ?? 0) > 0)
    },
  },
  {
    name: 'several choices',
    async run(client, model) {
      const { choices } = await client.chat.completions.create({ ...short, model, n: 3 })
      assert.deepEqual(
        choices.map(({ index }) => index),
        [0, 1, 2],
      )
      const ends = new Set<number>()
      const stream = await client.chat.completions.create({ ...short, model, n: 3, stream: true })
      for await (const { choices } of stream) {
        for (const { index, finish_reason } of choices) if (finish_reason) ends.add(index)
      }
      assert.equal(ends.size, 3)
    },
  },
  {
    name: 'logprobs',
    async run(client, model) {
      const request = { ...short, model, logprobs: true, top_logprobs: 3 }
      const { choices } = await client.chat.completions.create(request)
      const content = choices[0]?.logprobs?.content ?? []
      assert.ok(content.length > 0)
      for (const token of content) {
        assert.ok(token.logprob <= 0)
        assert.ok(Array.isArray(token.bytes))
        assert.equal(token.top_logprobs.length, 3)
        assert.equal(typeof token.top_logprobs[0]?.token, 'string')
      }
      let numStreamed = 0
      for await (const chunk of await client.chat.completions.create({
        ...request,
        stream: true,
      })) {
        numStreamed += chunk.choices[0]?.logprobs?.content?.length ?? 0
      }
      assert.equal(numStreamed, content.length)
    },
  },
  {
    name: 'a stop string is not part of the text',
    async run(client, model) {
      const whole = (await client.chat.completions.create({ ...short, model })).choices[0]?.message
      const stop = whole?.content?.trim().split(/\s+/).at(1)
      if (!stop) return
      const { choices } = await client.chat.completions.create({ ...short, model, stop })
      assert.equal(choices[0]?.finish_reason, 'stop')
      assert.ok(!choices[0]?.message.content?.includes(stop))
    },
  },
  {
    name: 'legacy completions: whole, streamed, several prompts, echo with logprobs',
    async run(client, model) {
      const request = { model, max_tokens: 5, temperature: 0, seed: 1 }
      const whole = await client.completions.create({ ...request, prompt: 'Once upon' })
      assert.match(whole.id, /^cmpl-/)
      let text = ''
      for await (const { choices } of await client.completions.create({
        ...request,
        prompt: 'Once upon',
        stream: true,
      })) {
        text += choices[0]?.text ?? ''
      }
      assert.equal(text, whole.choices[0]?.text)
      const two = await client.completions.create({ ...request, prompt: ['One', 'Two'], n: 2 })
      assert.deepEqual(
        two.choices.map(({ index }) => index),
        [0, 1, 2, 3],
      )
      const scored = await client.completions.create({
        ...request,
        prompt: 'Once upon a time',
        max_tokens: 0,
        echo: true,
        logprobs: 1,
      })
      const [choice] = scored.choices
      assert.equal(choice?.text, 'Once upon a time')
      const { tokens = [], token_logprobs = [], text_offset = [] } = choice?.logprobs ?? {}
      assert.equal(token_logprobs[0], null)
      assert.equal(tokens.length, token_logprobs.length)
      assert.equal(tokens.length, text_offset.length)
    },
  },
  {
    name: 'errors are the right class and carry code and param',
    async run(client, model) {
      await assert.rejects(
        client.chat.completions.create({ ...short, model: 'no/such' }),
        error => {
          assert.ok(error instanceof NotFoundError)
          assert.deepEqual([error.code, error.param], ['model_not_found', 'model'])
          return true
        },
      )
      for (const stream of [false, true]) {
        const request = client.chat.completions.create({ ...short, model, temperature: 9, stream })
        await assert.rejects(request, error => {
          assert.ok(error instanceof BadRequestError)
          assert.deepEqual([error.code, error.param], ['invalid_value', 'temperature'])
          assert.match(error.requestID ?? '', /^req_/)
          return true
        })
      }
    },
  },
  {
    name: 'breaking off a stream, and aborting a call',
    async run(client, model) {
      const request = { messages, model, max_tokens: 500 }
      for await (const _ of await client.chat.completions.create({ ...request, stream: true }))
        break
      const controller = new AbortController()
      const call = client.chat.completions.create(request, { signal: controller.signal })
      controller.abort()
      await assert.rejects(call, APIUserAbortError)
      // The server is none the worse for it.
      await client.chat.completions.create({ ...short, model })
    },
  },
]
