import { CHAT, chat, chatStream, hello } from './chatShapes.ts'
import { type Check, must } from './check.ts'
import { NotHere } from './outcome.ts'

const asked = { logprobs: true, top_logprobs: 2 }

export const logprobChecks: Check[] = [
  {
    name: 'every token has its bytes and its alternatives',
    section: '5.3',
    async run(api) {
      const [choice] = (await chat(api, asked, true)).choices
      const tokens = choice?.logprobs?.content
      must(tokens?.length, 'there are none')
      must(
        tokens.every(({ top_logprobs }) => top_logprobs.length === 2),
        'a token has not the two alternatives asked for',
      )
      const bytes = tokens.flatMap(token => token.bytes ?? [])
      const text = new TextDecoder().decode(Uint8Array.from(bytes))
      const content = choice?.message.content ?? ''
      must(text.includes(content), `the bytes say ${JSON.stringify(text)}, the text is another`)
    },
  },
  {
    name: 'a stream tells of the same tokens',
    section: '6',
    async run(api) {
      const [choice] = (await chat(api, asked, true)).choices
      const { chunks } = await chatStream(api, asked)
      const streamed = chunks.flatMap(({ choices }) => choices[0]?.logprobs?.content ?? [])
      const numWhole = choice?.logprobs?.content?.length
      must(streamed.length === numWhole, `${streamed.length} tokens instead of ${numWhole}`)
    },
  },
  {
    name: 'top_logprobs without logprobs, or above 20, is refused',
    section: '5.1',
    async run(api) {
      if ((await api.post(CHAT, { ...hello, ...asked })).status !== 200) {
        throw new NotHere('no logprobs')
      }
      for (const fields of [{ top_logprobs: 2 }, { logprobs: true, top_logprobs: 21 }]) {
        const { status } = await api.post(CHAT, { ...hello, ...fields })
        must(status === 400, `${JSON.stringify(fields)} answered ${status}`)
      }
    },
  },
]
