import assert from 'node:assert/strict'
import OpenAI from 'openai'
import { zodResponsesFunction, zodTextFormat } from 'openai/helpers/zod'
import type { ResponseInput } from 'openai/resources/responses/responses'
import { forecastSchema, question, type SdkCheck, type Target, weatherSchema } from './sdkCheck.ts'

const clientOf = ({ origin }: Target) =>
  new OpenAI({ baseURL: `${origin}/v1`, apiKey: 'EMPTY', maxRetries: 0 })

const weather = zodResponsesFunction({ name: 'weather', parameters: weatherSchema })

/** Tools and schemas over the Responses API, with the helpers of the official client. */
export const responsesToolChecks: SdkCheck[] = [
  {
    name: 'two rounds of calls with results, carried on by id and by items, streamed',
    async run(target) {
      const { responses } = clientOf(target)
      for (const isStored of [true, false]) {
        let input: ResponseInput = [{ role: 'user', content: question }]
        let previous: string | null = null
        for (const tool_choice of ['required', 'required', 'none'] as const) {
          const { id, output } = await responses
            .stream({
              model: target.model,
              input,
              previous_response_id: previous,
              store: isStored,
              tools: [weather],
              tool_choice,
              parallel_tool_calls: false,
              max_output_tokens: 200,
            })
            .finalResponse()
          const calls = output.flatMap(item => (item.type === 'function_call' ? [item] : []))
          assert.equal(calls.length > 0, tool_choice === 'required')
          const results = calls.map(({ call_id, parsed_arguments }) => {
            weatherSchema.parse(parsed_arguments)
            return { type: 'function_call_output' as const, call_id, output: '21 °C' }
          })
          if (isStored) previous = id
          input = isStored ? results : [...input, ...(output as ResponseInput), ...results]
        }
      }
    },
  },
  {
    name: 'an output of a schema, parsed, whole and streamed',
    async run(target) {
      const { responses } = clientOf(target)
      const request = {
        model: target.model,
        input: question,
        text: { format: zodTextFormat(forecastSchema, 'forecast') },
        max_output_tokens: 100,
      }
      forecastSchema.parse((await responses.parse(request)).output_parsed)
      forecastSchema.parse((await responses.stream(request).finalResponse()).output_parsed)
    },
  },
]
