import assert from 'node:assert/strict'
import {
  type AIMessage,
  type AIMessageChunk,
  HumanMessage,
  type ToolMessage,
  type UsageMetadata,
} from '@langchain/core/messages'
import { tool } from '@langchain/core/tools'
import { ChatOpenAI, OpenAIEmbeddings } from '@langchain/openai'
import { forecastSchema, question, type SdkCheck, type Target, weatherSchema } from './sdkCheck.ts'

function chatOf({ origin, model }: Target, useResponsesApi: boolean, fields: object = {}) {
  return new ChatOpenAI({
    model,
    apiKey: 'EMPTY',
    temperature: 0,
    maxTokens: 200,
    // A model of random weights would call until it runs into its limit.
    modelKwargs: { parallel_tool_calls: false },
    maxRetries: 0,
    useResponsesApi,
    configuration: { baseURL: `${origin}/v1` },
    ...fields,
  })
}

const weather = tool(async ({ city }) => `sunny in ${city}`, {
  name: 'weather',
  description: 'The weather in a city',
  schema: weatherSchema,
})

/** Both APIs that LangChain speaks do the same. */
function checksOver(api: string, useResponsesApi: boolean): SdkCheck[] {
  return [
    {
      name: `${api}: invoke and stream say the same`,
      async run(target) {
        const chat = chatOf(target, useResponsesApi)
        const whole: AIMessage = await chat.invoke(question)
        let text = ''
        let numInput = 0
        const chunks: AsyncIterable<AIMessageChunk> = await chat.stream(question)
        for await (const chunk of chunks) {
          text += chunk.text
          numInput += inputTokens(chunk)
        }
        assert.equal(text, whole.text)
        assert.equal(numInput, inputTokens(whole))
        assert.ok(numInput > 0)
      },
    },
    {
      name: `${api}: a loop over tools, whole and streamed`,
      async run(target) {
        const calling = chatOf(target, useResponsesApi).bindTools([weather], {
          // By name: over Responses LangChain leaves 'required' out of its request.
          tool_choice: 'weather',
          strict: true,
        })
        for (const isStreamed of [false, true]) {
          const messages: (HumanMessage | AIMessage | ToolMessage)[] = [new HumanMessage(question)]
          for (let round = 0; round < 2; round++) {
            const answer = isStreamed
              ? await collect(await calling.stream(messages))
              : await calling.invoke(messages)
            assert.deepEqual(answer.invalid_tool_calls, [])
            assert.ok(answer.tool_calls && answer.tool_calls.length > 0)
            messages.push(answer)
            for (const call of answer.tool_calls) {
              const { id = '', args } = call
              weatherSchema.parse(args)
              const result: ToolMessage = await weather.invoke({ ...call, type: 'tool_call' })
              assert.equal(result.tool_call_id, id)
              messages.push(result)
            }
          }
          assert.equal(
            typeof (await chatOf(target, useResponsesApi).invoke(messages)).text,
            'string',
          )
        }
      },
    },
    {
      name: `${api}: withStructuredOutput`,
      async run(target) {
        for (const method of ['jsonSchema', 'functionCalling'] as const) {
          const chat = chatOf(target, useResponsesApi)
          const forecast = chat.withStructuredOutput(forecastSchema, {
            method,
            name: 'forecast',
            strict: true,
          })
          forecastSchema.parse(await forecast.invoke(question))
        }
      },
    },
    {
      name: `${api}: errors carry status and code`,
      async run(target) {
        const chat = chatOf({ ...target, model: 'no/such' }, useResponsesApi)
        await assert.rejects(chat.invoke(question), { status: 404, code: 'model_not_found' })
      },
    },
  ]
}

/** Their own type forgets that the field may be there. */
function inputTokens({ usage_metadata }: { usage_metadata?: UsageMetadata | undefined }): number {
  return usage_metadata?.input_tokens ?? 0
}

/** What LangChain itself makes of a stream. */
async function collect(chunks: AsyncIterable<AIMessageChunk>): Promise<AIMessageChunk> {
  let whole: AIMessageChunk | undefined
  for await (const chunk of chunks) whole = whole?.concat(chunk) ?? chunk
  if (whole === undefined) throw new Error('a stream without chunks')
  return whole
}

export const langchainChecks: SdkCheck[] = [
  ...checksOver('chat', false),
  ...checksOver('responses', true),
]

export const langchainEmbeddingChecks: SdkCheck[] = [
  {
    name: 'embedQuery and embedDocuments',
    async run({ origin, model }) {
      const configuration = { baseURL: `${origin}/v1` }
      const embeddings = new OpenAIEmbeddings({
        model,
        apiKey: 'EMPTY',
        maxRetries: 0,
        configuration,
      })
      const one = await embeddings.embedQuery(question)
      assert.ok(one.length > 0)
      assert.deepEqual((await embeddings.embedDocuments([question, 'Hello']))[0], one)
    },
  },
]
