import assert from 'node:assert/strict'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import {
  APICallError,
  embed,
  embedMany,
  generateObject,
  generateText,
  isStepCount,
  Output,
  streamObject,
  streamText,
  tool,
} from 'ai'
import { forecastSchema, question, type SdkCheck, type Target, weatherSchema } from './sdkCheck.ts'

const providerOf = ({ origin }: Target) =>
  createOpenAICompatible({
    name: 'local',
    baseURL: `${origin}/v1`,
    supportsStructuredOutputs: true,
    includeUsage: true,
  })

const requestOf = (target: Target) => ({
  model: providerOf(target)(target.model),
  prompt: question,
  maxOutputTokens: 200,
  maxRetries: 0,
})

/** Counts how often it is used. */
function weatherTool() {
  const asked: object[] = []
  const weather = tool({
    description: 'The weather in a city',
    inputSchema: weatherSchema,
    strict: true,
    execute: async input => {
      asked.push(input)
      return { degrees: 21 }
    },
  })
  return { asked, tools: { weather } }
}

/** Two rounds of calls, then text. A model of random weights would call until it runs into its limit. */
const twoRounds = {
  providerOptions: { local: { parallel_tool_calls: false } },
  stopWhen: isStepCount(3),
  prepareStep: ({ stepNumber }: { stepNumber: number }) => ({
    toolChoice: stepNumber < 2 ? ('required' as const) : ('none' as const),
  }),
}

/** The Vercel AI SDK with its provider for servers like OpenAI's. */
export const aiSdkChecks: SdkCheck[] = [
  {
    name: 'generateText and streamText say the same',
    async run(target) {
      const request = { ...requestOf(target), temperature: 0 }
      const whole = await generateText(request)
      const stream = streamText(request)
      let text = ''
      for await (const delta of stream.textStream) text += delta
      assert.equal(text, whole.text)
      assert.equal(await stream.reasoningText, whole.reasoningText)
      assert.equal(await stream.finishReason, whole.finishReason)
      assert.ok(((await stream.usage).inputTokens ?? 0) > 0)
      assert.deepEqual((await stream.usage).outputTokens, whole.usage.outputTokens)
      assert.deepEqual(await stream.warnings, [])
    },
  },
  {
    name: 'generateText loops over tools',
    async run(target) {
      const { asked, tools } = weatherTool()
      const { steps } = await generateText({ ...requestOf(target), tools, ...twoRounds })
      assert.deepEqual(steps.map(({ finishReason }) => finishReason).slice(0, 2), [
        'tool-calls',
        'tool-calls',
      ])
      assert.equal(steps.length, 3)
      assert.equal(asked.length, steps.flatMap(({ toolCalls }) => toolCalls).length)
      assert.ok(asked.length >= 2)
    },
  },
  {
    name: 'streamText loops over tools',
    async run(target) {
      const { asked, tools } = weatherTool()
      const stream = streamText({ ...requestOf(target), tools, ...twoRounds })
      const kinds: string[] = []
      for await (const part of stream.fullStream) {
        if (part.type === 'error') throw part.error
        kinds.push(part.type)
      }
      assert.equal((await stream.steps).length, 3)
      assert.equal(kinds.filter(kind => kind === 'tool-call').length, asked.length)
      assert.equal(kinds.filter(kind => kind === 'tool-result').length, asked.length)
      assert.ok(kinds.includes('tool-input-delta'))
    },
  },
  {
    name: 'objects: generateObject, streamObject, Output.object',
    async run(target) {
      const request = requestOf(target)
      const { object } = await generateObject({ ...request, schema: forecastSchema })
      forecastSchema.parse(object)
      const streamed = streamObject({ ...request, schema: forecastSchema })
      let numPartial = 0
      for await (const _ of streamed.partialObjectStream) numPartial++
      forecastSchema.parse(await streamed.object)
      assert.ok(numPartial > 0)
      const output = Output.object({ schema: forecastSchema })
      forecastSchema.parse((await generateText({ ...request, output })).output)
    },
  },
  {
    name: 'an object after calls',
    async run(target) {
      const { tools } = weatherTool()
      const output = Output.object({ schema: forecastSchema })
      const result = await generateText({
        ...requestOf(target),
        tools,
        output,
        stopWhen: isStepCount(4),
        prepareStep: ({ stepNumber }) => ({ toolChoice: stepNumber < 2 ? 'auto' : 'none' }),
      })
      forecastSchema.parse(result.output)
    },
  },
  {
    name: 'errors carry status and message, and are not tried again',
    async run(target) {
      const { prompt } = requestOf(target)
      const model = providerOf(target)('no/such')
      const stream = () =>
        new Promise((_, reject) => {
          const onError = ({ error }: { error: unknown }) => reject(error)
          streamText({ model, prompt, maxRetries: 2, onError }).consumeStream()
        })
      for (const call of [() => generateText({ model, prompt, maxRetries: 2 }), stream]) {
        await assert.rejects(call(), error => {
          assert.ok(APICallError.isInstance(error), String(error))
          assert.deepEqual([error.statusCode, error.isRetryable], [404, false])
          assert.match(error.message, /no\/such/)
          return true
        })
      }
    },
  },
]

export const aiSdkEmbeddingChecks: SdkCheck[] = [
  {
    name: 'embed and embedMany',
    async run(target) {
      const model = providerOf(target).embeddingModel(target.model)
      const { embedding, usage } = await embed({ model, value: question })
      assert.ok(embedding.length > 0 && usage.tokens > 0)
      const { embeddings } = await embedMany({ model, values: [question, 'Hello'] })
      assert.deepEqual(embeddings[0], embedding)
    },
  },
]
