import { aiSdkChecks, aiSdkEmbeddingChecks } from './aiSdkChecks.ts'
import { anthropicChecks, anthropicRunnerChecks } from './anthropicChecks.ts'
import { langchainChecks, langchainEmbeddingChecks } from './langchainChecks.ts'
import { openaiEmbeddingChecks, openaiRunnerChecks, openaiToolChecks } from './openaiToolChecks.ts'
import { responsesToolChecks } from './responsesToolChecks.ts'
import type { SdkCheck } from './sdkCheck.ts'

/** What each client must be able to do with a model that generates. */
export const generatingChecks: [client: string, SdkCheck[]][] = [
  ['openai: tools and schemas', openaiToolChecks],
  ['openai: responses', responsesToolChecks],
  ['@anthropic-ai/sdk', anthropicChecks],
  ['Vercel AI SDK', aiSdkChecks],
  ['LangChain.js', langchainChecks],
]

/** What needs a model that calls tools of its own will. */
export const runnerChecks: [client: string, SdkCheck[]][] = [
  ['openai: runner', openaiRunnerChecks],
  ['@anthropic-ai/sdk: runner', anthropicRunnerChecks],
]

/** What each client must be able to do with a model that makes embeddings. */
export const embeddingChecks: [client: string, SdkCheck[]][] = [
  ['openai', openaiEmbeddingChecks],
  ['Vercel AI SDK', aiSdkEmbeddingChecks],
  ['LangChain.js', langchainEmbeddingChecks],
]
