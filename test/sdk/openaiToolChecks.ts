import assert from 'node:assert/strict'
import OpenAI from 'openai'
import { zodFunction, zodResponseFormat } from 'openai/helpers/zod'
import type { ChatCompletionMessageParam } from 'openai/resources/chat/completions'
import { forecastSchema, question, type SdkCheck, type Target, weatherSchema } from './sdkCheck.ts'

const clientOf = ({ origin }: Target) =>
  new OpenAI({ baseURL: `${origin}/v1`, apiKey: 'EMPTY', maxRetries: 0 })

const messages: ChatCompletionMessageParam[] = [{ role: 'user', content: question }]
const weather = zodFunction({
  name: 'weather',
  description: 'The weather in a city',
  parameters: weatherSchema,
})

/** Tools and schemas over Chat Completions, with the helpers of the official client. */
export const openaiToolChecks: SdkCheck[] = [
  {
    name: 'two rounds of calls with results, parsed, whole and streamed',
    async run(target) {
      const { completions } = clientOf(target).chat
      for (const isStreamed of [false, true]) {
        const history = [...messages]
        for (const tool_choice of ['required', 'required', 'none'] as const) {
          const request = {
            model: target.model,
            messages: history,
            tools: [weather],
            tool_choice,
            // A model of random weights would call until it runs into its limit.
            parallel_tool_calls: false,
            max_tokens: 200,
          }
          if (tool_choice === 'none') {
            const { choices } = await completions.create(request)
            assert.equal(choices[0]?.message.tool_calls, undefined)
            break
          }
          const { choices } = isStreamed
            ? await completions.stream(request).finalChatCompletion()
            : await completions.parse(request)
          const [choice] = choices
          assert.ok(choice)
          const calls = choice.message.tool_calls ?? []
          assert.ok(calls.length > 0)
          history.push(choice.message)
          for (const call of calls) {
            assert.ok(call.type === 'function')
            const { id, function: called } = call
            assert.match(id, /^call_/)
            weatherSchema.parse(called.parsed_arguments)
            history.push({ role: 'tool', tool_call_id: id, content: '21 °C' })
          }
        }
      }
    },
  },
  {
    name: 'an output of a schema, parsed, whole and streamed',
    async run(target) {
      const { completions } = clientOf(target).chat
      const response_format = zodResponseFormat(forecastSchema, 'forecast')
      const request = { model: target.model, messages, response_format, max_tokens: 100 }
      const whole = await completions.parse(request)
      forecastSchema.parse(whole.choices[0]?.message.parsed)
      const streamed = await completions.stream(request).finalChatCompletion()
      forecastSchema.parse(streamed.choices[0]?.message.parsed)
    },
  },
]

/** What needs a model that calls tools of its own will, two rounds of them. */
export const openaiRunnerChecks: SdkCheck[] = [
  {
    name: 'runTools, whole and streamed',
    async run(target) {
      const { completions } = clientOf(target).chat
      let numCalls = 0
      const tools = [
        zodFunction({
          name: 'weather',
          parameters: weatherSchema,
          function: () => `${++numCalls} °C`,
        }),
      ]
      const request = { model: target.model, messages, tools }
      const whole = completions.runTools(request)
      assert.equal(typeof (await whole.finalContent()), 'string')
      const streamed = completions.runTools({ ...request, stream: true })
      await streamed.done()
      const results = [...whole.messages, ...streamed.messages].filter(
        ({ role }) => role === 'tool',
      )
      assert.deepEqual([results.length, numCalls], [6, 6])
    },
  },
]

export const openaiEmbeddingChecks: SdkCheck[] = [
  {
    name: 'embeddings, as base64 by default and as numbers',
    async run(target) {
      const { embeddings } = clientOf(target)
      const input = [question, 'Hello']
      const { data } = await embeddings.create({ model: target.model, input })
      const floats = await embeddings.create({
        model: target.model,
        input,
        encoding_format: 'float',
      })
      assert.deepEqual(
        data.map(({ embedding }) => embedding.length > 0),
        [true, true],
      )
      assert.deepEqual(floats.data, data)
    },
  },
]
