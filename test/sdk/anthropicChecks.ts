import assert from 'node:assert/strict'
import Anthropic from '@anthropic-ai/sdk'
import { betaZodTool } from '@anthropic-ai/sdk/helpers/beta/zod'
import { zodOutputFormat } from '@anthropic-ai/sdk/helpers/zod'
import { forecastSchema, question, type SdkCheck, type Target, weatherSchema } from './sdkCheck.ts'

const clientOf = ({ origin }: Target) =>
  new Anthropic({ baseURL: origin, apiKey: 'EMPTY', maxRetries: 0 })

const messages: Anthropic.MessageParam[] = [{ role: 'user', content: question }]

const weather: Anthropic.Tool = {
  name: 'weather',
  strict: true,
  input_schema: {
    type: 'object',
    properties: {
      city: { type: 'string', enum: ['Rome', 'Oslo'] },
      unit: { type: 'string', enum: ['celsius', 'fahrenheit'] },
    },
    required: ['city', 'unit'],
    additionalProperties: false,
  },
}

/** Anthropic's own client, with its accumulator and its helpers. */
export const anthropicChecks: SdkCheck[] = [
  {
    name: 'a message, whole and streamed, says the same',
    async run(target) {
      const { messages: api } = clientOf(target)
      const request = { model: target.model, messages, max_tokens: 40, temperature: 0 }
      const whole = await api.create(request)
      const final = await api.stream(request).finalMessage()
      const visible = ({ content }: Anthropic.Message) =>
        content.flatMap(block => (block.type === 'text' ? [block.text] : []))
      assert.deepEqual(visible(final), visible(whole))
      assert.equal(final.stop_reason, whole.stop_reason)
      assert.equal(final.usage.output_tokens, whole.usage.output_tokens)
    },
  },
  {
    name: 'two rounds of calls with results, whole and streamed',
    async run(target) {
      const { messages: api } = clientOf(target)
      for (const isStreamed of [false, true]) {
        const history = [...messages]
        for (const type of ['any', 'any', 'none'] as const) {
          const request = {
            model: target.model,
            messages: history,
            tools: [weather],
            tool_choice: type === 'none' ? { type } : { type, disable_parallel_tool_use: true },
            max_tokens: 200,
          }
          const { content, stop_reason } = isStreamed
            ? await api.stream(request).finalMessage()
            : await api.create(request)
          const uses = content.flatMap(block => (block.type === 'tool_use' ? [block] : []))
          assert.equal(uses.length > 0, type === 'any')
          assert.equal(stop_reason === 'tool_use', type === 'any')
          history.push({ role: 'assistant', content })
          if (uses.length === 0) continue
          history.push({
            role: 'user',
            content: uses.map(({ id, input }) => {
              assert.match(id, /^toolu_/)
              weatherSchema.parse(input)
              return { type: 'tool_result' as const, tool_use_id: id, content: '21 °C' }
            }),
          })
        }
      }
    },
  },
  {
    name: 'an output of a schema, parsed, whole and streamed',
    async run(target) {
      const { messages: api } = clientOf(target)
      const request = {
        model: target.model,
        messages,
        max_tokens: 100,
        output_config: { format: zodOutputFormat(forecastSchema) },
      }
      forecastSchema.parse((await api.parse(request)).parsed_output)
      forecastSchema.parse((await api.stream(request).finalMessage()).parsed_output)
    },
  },
]

/** What needs a model that calls tools of its own will, two rounds of them. */
export const anthropicRunnerChecks: SdkCheck[] = [
  {
    name: 'toolRunner, whole and streamed',
    async run(target) {
      const { messages: api } = clientOf(target).beta
      let numCalls = 0
      const tool = betaZodTool({
        name: 'weather',
        description: 'The weather in a city',
        inputSchema: weatherSchema,
        run: () => `${++numCalls} °C`,
      })
      const request = { model: target.model, messages, tools: [tool], max_tokens: 100 }
      const whole = await api.toolRunner(request)
      assert.equal(whole.role, 'assistant')
      for await (const stream of api.toolRunner({ ...request, stream: true })) {
        await stream.finalMessage()
      }
      assert.equal(numCalls, 6)
    },
  },
]
