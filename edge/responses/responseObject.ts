import type { JsonObject, JsonValue } from '../engine.ts'

/** The object of the Responses API: every key is always there. Times are unix seconds. */
export interface ResponseObject {
  id: string
  object: 'response'
  created_at: number
  status: ResponseStatus
  background: boolean
  completed_at: number | null
  error: ResponseError | null
  incomplete_details: { reason: 'max_output_tokens' } | null
  instructions: string | null
  max_output_tokens: number | null
  max_tool_calls: number | null
  model: string
  output: OutputItem[]
  parallel_tool_calls: boolean
  previous_response_id: string | null
  prompt_cache_key: string | null
  reasoning: { effort: string | null; summary: string | null }
  safety_identifier: string | null
  service_tier: 'default'
  store: boolean
  temperature: number | null
  text: JsonObject
  tool_choice: JsonValue
  tools: JsonObject[]
  top_logprobs: number
  top_p: number | null
  truncation: 'auto' | 'disabled'
  usage: ResponseUsage | null
  user: string | null
  metadata: JsonObject
  access_programs: null
}

export type ResponseStatus =
  | 'queued'
  | 'in_progress'
  | 'completed'
  | 'incomplete'
  | 'failed'
  | 'cancelled'

export interface ResponseError {
  /** One of OpenAI's fixed list. */
  code: string
  message: string
  type: string
}

export interface ResponseUsage {
  input_tokens: number
  input_tokens_details: { cached_tokens: number; cache_write_tokens: number }
  output_tokens: number
  output_tokens_details: { reasoning_tokens: number }
  total_tokens: number
}

export type ItemStatus = 'in_progress' | 'completed' | 'incomplete'

export type OutputItem =
  | MessageItem
  | ReasoningItem
  | FunctionCallItem
  | CustomToolCallItem
  | LocalShellCallItem
  | ShellCallItem
  | ApplyPatchCallItem

export interface MessageItem {
  id: string
  type: 'message'
  status: ItemStatus
  role: 'assistant'
  content: OutputTextPart[]
}

export interface OutputTextPart {
  type: 'output_text'
  text: string
  annotations: never[]
  logprobs: TextLogprob[]
}

export interface TextLogprob {
  token: string
  logprob: number
  bytes: number[]
  top_logprobs: { token: string; logprob: number; bytes: number[] }[]
}

export interface ReasoningItem {
  id: string
  type: 'reasoning'
  status: ItemStatus
  summary: { type: 'summary_text'; text: string }[]
  content: { type: 'reasoning_text'; text: string }[]
  encrypted_content?: string
}

export interface FunctionCallItem {
  id: string
  type: 'function_call'
  status: ItemStatus
  call_id: string
  name: string
  namespace?: string
  arguments: string
}

export interface CustomToolCallItem {
  id: string
  type: 'custom_tool_call'
  status: ItemStatus
  call_id: string
  name: string
  namespace?: string
  input: string
}

export interface LocalShellCallItem {
  id: string
  type: 'local_shell_call'
  status: ItemStatus
  call_id: string
  action: JsonObject
}

export interface ShellCallItem {
  id: string
  type: 'shell_call'
  status: ItemStatus
  call_id: string
  action: { commands: string[]; max_output_length: number | null; timeout_ms: number | null }
  environment: { type: 'local' }
}

export interface ApplyPatchCallItem {
  id: string
  type: 'apply_patch_call'
  status: 'in_progress' | 'completed'
  call_id: string
  operation: JsonObject
}

/** An event of the stream before it has its number. */
export interface ResponseEvent {
  type: string
  [field: string]: unknown
}
