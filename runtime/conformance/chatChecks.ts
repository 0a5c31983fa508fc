import { CHAT, chat, hello } from './chatShapes.ts'
import { type Check, must } from './check.ts'

export const chatChecks: Check[] = [
  {
    name: 'a completion has the shape clients read',
    section: '5.3',
    async run(api) {
      const { choices, usage } = await chat(api)
      must(choices.length === 1, `${choices.length} choices instead of 1`)
      const { prompt_tokens, completion_tokens, total_tokens } = usage
      const sum = prompt_tokens + completion_tokens
      must(total_tokens === sum, `total_tokens is ${total_tokens}, the sum ${sum}`)
    },
  },
  {
    name: 'max_tokens and max_completion_tokens are kept, and end with length',
    section: '5.1',
    async run(api) {
      for (const fields of [{ max_tokens: 1 }, { max_tokens: null, max_completion_tokens: 1 }]) {
        const { choices, usage } = await chat(api, fields)
        const numTokens = usage.completion_tokens
        must(numTokens <= 1, `${numTokens} tokens for ${JSON.stringify(fields)}`)
        const reason = choices[0]?.finish_reason
        must(reason === 'length' || reason === 'stop', `finish_reason is ${reason}`)
      }
    },
  },
  {
    name: 'n choices are numbered from 0',
    section: '5.1',
    async run(api) {
      const { choices } = await chat(api, { n: 2 }, true)
      const indices = choices.map(({ index }) => index).join()
      must(indices === '0,1', `indices are ${indices}`)
    },
  },
  {
    name: 'the same request with a seed has the same answer',
    section: '5.1',
    async run(api) {
      const request = { temperature: 1, seed: 7 }
      const [a, b] = [await chat(api, request), await chat(api, request)]
      const [first, second] = [a, b].map(({ choices }) => choices[0]?.message.content)
      must(first === second, `${JSON.stringify(first)}, then ${JSON.stringify(second)}`)
    },
  },
  {
    name: 'a stop string ends the text and is not part of it',
    section: '5.1',
    async run(api) {
      const [whole] = (await chat(api)).choices
      const text = whole?.message.content ?? ''
      const stop = text
        .slice(Math.floor(text.length / 2))
        .trim()
        .slice(0, 3)
      if (stop === '') return
      const [choice] = (await chat(api, { stop: [stop] })).choices
      const cut = choice?.message.content ?? ''
      must(!cut.includes(stop), `${JSON.stringify(cut)} holds ${JSON.stringify(stop)}`)
      must(choice?.finish_reason === 'stop', `finish_reason is ${choice?.finish_reason}`)
    },
  },
  {
    name: 'text comes in parts from every role, and developer is a role',
    section: '5.2',
    async run(api) {
      const parts = (text: string) => [{ type: 'text', text }]
      await chat(api, {
        messages: [
          { role: 'developer', content: parts('Be brief.') },
          { role: 'user', content: parts('Hi') },
          { role: 'assistant', content: parts('Hello') },
          { role: 'user', content: [...parts('Count'), ...parts(' to five.')] },
        ],
      })
    },
  },
  {
    name: 'null is as good as absent, and unknown fields are left alone',
    section: '2',
    async run(api) {
      const absent = { stop: null, n: null, logit_bias: null, tools: null, stream: null }
      await chat(api, { ...absent, response_format: null, store: true, metadata: { a: 'b' } })
      await chat(api, { not_a_field_of_anybody: { deep: [1] } })
    },
  },
  {
    name: 'JSON is read whatever the content type says',
    section: '2',
    async run(api) {
      const body = JSON.stringify({ ...hello, model: api.model })
      const { status } = await api.send('POST', CHAT, { body })
      must(status === 200, `answered ${status}`)
    },
  },
]
