import type { ParseCase } from './parseOutput.ts'

interface OutputCase {
  what: string
  output: string
  /** As `summarize` (test/support/parseOutput.ts) tells it. */
  expected: string[]
  promptTail?: string
}

/** Outputs as models of each family write them, and as they fail to, with what they mean. */
export const outputCases: Record<string, { format: ParseCase; outputs: OutputCase[] }> = {
  'reasoning tags': {
    format: { reasoning: 'think', calls: 'hermes' },
    outputs: [
      {
        what: 'a block, then text',
        output: '<think>\nWell, 2 < 3.\n\nSo…\n</think>\n\nYes. ',
        expected: ['reasoning|Well, 2 < 3.\n\nSo…', 'text|Yes. '],
      },
      {
        what: 'the prompt opens the block',
        promptTail: '<|im_start|>assistant\n<think>\n',
        output: 'hm </thin k> <think>\n</think>\n\nHi',
        expected: ['reasoning|hm </thin k> <think>', 'text|Hi'],
      },
      {
        what: 'the prompt closes the block',
        promptTail: '<|im_start|>assistant\n<think>\n\n</think>\n\n',
        output: 'Hi',
        expected: ['text|Hi'],
      },
      { what: 'an empty block', output: '<think>\n\n</think>\n\nHi', expected: ['text|Hi'] },
      {
        what: 'an unclosed block',
        output: '<think>\nfirst </think\n ',
        expected: ['reasoning|first </think\n '],
      },
      {
        what: 'a tag in the middle of a text is text',
        output: 'Use <think> and </think>.',
        expected: ['text|Use <think> and </think>.'],
      },
      {
        what: 'a call ends the block',
        output: '<think>\nI call.\n<tool_call>\n{"name": "now"}\n</tool_call>\nok </think>',
        expected: ['reasoning|I call.', 'call|now|{}', 'text|ok </think>'],
      },
      {
        what: 'a block may be closed after its call',
        promptTail: '<think>\n',
        output: '<tool_call>\n{"name": "now"}\n</tool_call>\n</think>\n\nok',
        expected: ['call|now|{}', 'text|ok'],
      },
      {
        what: 'what is no call does not end the block',
        output: '<think>\nno <tool_call> {"name": "x"}</tool_call>\n</think>\nok',
        expected: ['reasoning|no <tool_call> {"name": "x"}</tool_call>', 'text|ok'],
      },
      { what: 'space around a text stays', output: '\n a \n', expected: ['text|\n a \n'] },
      {
        what: 'a block after a call',
        output: '<tool_call>{"name": "now"}</tool_call>\n<think>\nb\n</think>\nc',
        expected: ['call|now|{}', 'reasoning|b', 'text|c'],
      },
    ],
  },
  'seed tags': {
    format: { reasoning: 'seed' },
    outputs: [
      {
        what: 'a block, then text',
        output: '<seed:think>\na\n</seed:think>b',
        expected: ['reasoning|a', 'text|b'],
      },
    ],
  },
  gemma: {
    format: { reasoning: 'gemma' },
    outputs: [
      {
        what: 'a block, then text',
        output: '<unused94>thought\nThe scan\n<unused95>It is fine.',
        expected: ['reasoning|The scan', 'text|It is fine.'],
      },
    ],
  },
  hermes: {
    format: { calls: 'hermes' },
    outputs: [
      {
        what: 'text, two calls, text',
        output:
          'Let me look.\n<tool_call>\n{"name": "get_weather", "arguments": {"city": "Zürich 🌧", "days": [1, {"a": null}]}}\n</tool_call>\n<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>\nDone.',
        expected: [
          'text|Let me look.',
          'call|get_weather|{"city": "Zürich 🌧", "days": [1, {"a": null}]}',
          'call|now|{}',
          'text|Done.',
        ],
      },
      {
        what: 'braces, quotes and tags inside strings',
        output:
          '<tool_call>{"name":"get_weather","arguments":{"city":"}{\\"</tool_call>\\u00fc\\\\"}}</tool_call>',
        expected: ['call|get_weather|{"city":"}{\\"</tool_call>\\u00fc\\\\"}'],
      },
      {
        what: 'line breaks inside a string become JSON',
        output: '<tool_call>{"name": "get_weather", "arguments": {"city": "a\n\tb"}}</tool_call>',
        expected: ['call|get_weather|{"city": "a\\n\\tb"}'],
      },
      {
        what: 'arguments before the name, and none',
        output:
          '<tool_call>{"arguments": {"city": "A"}, "name": "get_weather"}</tool_call><tool_call>{"name": "now"}</tool_call>',
        expected: ['call|get_weather|{"city": "A"}', 'call|now|{}'],
      },
      {
        what: 'one block, two calls',
        output:
          '<tool_call>\n{"name": "now", "arguments": {}}\n{"name": "get", "arguments": {}}\n</tool_call>',
        expected: ['call|now|{}', 'call|get|{}'],
      },
      {
        what: 'the last brace is missing',
        output: '<tool_call>\n{"name": "now", "arguments": {}\n</tool_call> ok',
        expected: ['call|now|{}', 'text|ok'],
      },
      {
        what: 'the closing tag is missing',
        output: '<tool_call>\n{"name": "now", "arguments": {}}\nok',
        expected: ['call|now|{}', 'text|ok'],
      },
      {
        what: 'one brace too many is text',
        output: '<tool_call>{"name": "now", "arguments": {}}}</tool_call>',
        expected: ['call|now|{}', 'text|}</tool_call>'],
      },
      {
        what: 'an undeclared tool is text',
        output: '<tool_call>\n{"name": "get_wea", "arguments": {"a": 1}}\n</tool_call>\n',
        expected: ['text|<tool_call>\n{"name": "get_wea", "arguments": {"a": 1}}\n</tool_call>\n'],
      },
      {
        what: 'no call at all is text, a call after it is one',
        output: 'a <tool_call> b\n<tool_call>{"name": "now"}</tool_call>',
        expected: ['text|a <tool_call> b', 'call|now|{}'],
      },
      {
        what: 'what is no JSON from its first key on is text',
        output: "<tool_call>{'name': 'now'}</tool_call>",
        expected: ["text|<tool_call>{'name': 'now'}</tool_call>"],
      },
      {
        what: 'arguments that are no object are text',
        output: '<tool_call>{"name": "get", "arguments": [1]}</tool_call>',
        expected: ['text|<tool_call>{"name": "get", "arguments": [1]}</tool_call>'],
      },
      {
        what: 'arguments that stop being JSON stay arguments',
        output:
          '<tool_call>\n{"name": "get_weather", "arguments": {"city": Paris}}\n</tool_call>\nok',
        expected: ['call|get_weather|{"city": Paris}}\n', 'text|ok'],
      },
      {
        what: 'a broken call does not hide the next',
        output:
          '<tool_call>{"name": "get", "arguments": {"a": 01}\n<tool_call>{"name": "now"}</tool_call>',
        expected: ['call|get|{"a": 01}\n', 'call|now|{}'],
      },
      {
        what: 'cut inside arguments',
        output: '<tool_call>{"name": "get_weather", "arguments": {"city": "Par',
        expected: ['void|get_weather|{"city": "Par'],
      },
      {
        what: 'cut before the name',
        output: 'a <tool_call>{"name": "get_w',
        expected: ['text|a <tool_call>{"name": "get_w'],
      },
      {
        what: 'a tag that does not come to be',
        output: 'if a <tool_ca',
        expected: ['text|if a <tool_ca'],
      },
    ],
  },
  'qwen3-coder': {
    format: { reasoning: 'think', calls: 'qwen3-coder' },
    outputs: [
      {
        what: 'values in the types of the schema',
        output: `ok\n\n<tool_call>
<function=get_weather>
<parameter=city>
"Zürich" \\ <b>
second line
</parameter>
<parameter=days>
3
</parameter>
<parameter=wind>
1.50
</parameter>
<parameter=rain>
True
</parameter>
<parameter=hours>
[1, "b"]
</parameter>
<parameter=area>
{"a": {"b": []}}
</parameter>
<parameter=note>
null
</parameter>
</function>
</tool_call>`,
        expected: [
          'text|ok',
          'call|get_weather|{"city": "\\"Zürich\\" \\\\ <b>\\nsecond line", "days": 3, "wind": 1.50, "rain": true, "hours": [1, "b"], "area": {"a": {"b": []}}, "note": null}',
        ],
      },
      {
        what: 'values that do not fit their types, and undeclared ones',
        output: `<tool_call>
<function=get_weather>
<parameter=days>
soon
</parameter>
<parameter=wind>
null
</parameter>
<parameter=note>
42
</parameter>
<parameter=x>
{"a": 1}
</parameter>
<parameter=y>
True
</parameter>
</function>
</tool_call>`,
        expected: [
          'call|get_weather|{"days": "soon", "wind": null, "note": "42", "x": {"a": 1}, "y": "True"}',
        ],
      },
      {
        what: 'tags of the format inside a value, and empty lines around it',
        output: `<tool_call>
<function=get_weather>
<parameter=city>

</parameter> is no end, </function> neither
</parameter> <x>

</parameter>
</function>
</tool_call>`,
        expected: [
          'call|get_weather|{"city": "\\n</parameter> is no end, </function> neither\\n</parameter> <x>\\n"}',
        ],
      },
      {
        what: 'on one line, without the outer tag, and parallel',
        output:
          '<function=get_weather><parameter=city>A</parameter></function>\n<tool_call><function=now></function></tool_call>',
        expected: ['call|get_weather|{"city": "A"}', 'call|now|{}'],
      },
      {
        what: 'without the tag that ends the function',
        output: '<tool_call>\n<function=get>\n<parameter=a>\n1\n</parameter>\n</tool_call>\nok',
        expected: ['call|get|{"a": 1}', 'text|ok'],
      },
      {
        what: 'after reasoning',
        promptTail: '<think>\n',
        output: 'I look.\n</think>\n\n<tool_call>\n<function=now>\n</function>\n</tool_call>',
        expected: ['reasoning|I look.', 'call|now|{}'],
      },
      {
        what: 'an undeclared tool is text',
        output:
          '<tool_call>\n<function=rm>\n<parameter=a>\n1\n</parameter>\n</function>\n</tool_call>',
        expected: [
          'text|<tool_call>\n<function=rm>\n<parameter=a>\n1\n</parameter>\n</function>\n</tool_call>',
        ],
      },
      {
        what: 'no parameter is named: text',
        output:
          '<tool_call>\n<function=get>\n<parameter=\n1\n</parameter>\n</function>\n</tool_call>',
        expected: [
          'text|<tool_call>\n<function=get>\n<parameter=\n1\n</parameter>\n</function>\n</tool_call>',
        ],
      },
      {
        what: 'a broken second parameter stays with the arguments',
        output:
          '<tool_call><function=get_weather><parameter=city>A</parameter><parameter=a b>1</parameter></function></tool_call>x',
        expected: [
          'call|get_weather|{"city": "A"<parameter=a b>1</parameter></function>',
          'text|x',
        ],
      },
      {
        what: 'cut inside a string',
        output: '<tool_call>\n<function=get_weather>\n<parameter=city>\nPar\n</para',
        expected: ['void|get_weather|{"city": "Par\\n</para'],
      },
      {
        what: 'cut between parameters',
        output: '<function=get_weather><parameter=city>\nA\n</parameter>\n<param',
        expected: ['void|get_weather|{"city": "A\\n</parameter>\\n<param'],
      },
    ],
  },
  glm: {
    format: { reasoning: 'think', calls: 'glm' },
    outputs: [
      {
        what: 'reasoning, text, parallel calls',
        output:
          '\n<think>Look.</think>\nMoment.\n<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>北京 "x"</arg_value>\n<arg_key>days</arg_key>\n<arg_value>3</arg_value>\n</tool_call>\n<tool_call>now\n</tool_call>',
        expected: [
          'reasoning|Look.',
          'text|Moment.',
          'call|get_weather|{"city": "北京 \\"x\\"", "days": 3}',
          'call|now|{}',
        ],
      },
      {
        what: 'without line breaks',
        output:
          '<tool_call>get_weather<arg_key>city</arg_key><arg_value>\nA </arg_value> B\n</arg_value></tool_call>',
        expected: ['call|get_weather|{"city": "\\nA </arg_value> B\\n"}'],
      },
      {
        what: 'an undeclared tool is text',
        output: '<tool_call>get_news\n<arg_key>a</arg_key>\n<arg_value>b</arg_value>\n</tool_call>',
        expected: [
          'text|<tool_call>get_news\n<arg_key>a</arg_key>\n<arg_value>b</arg_value>\n</tool_call>',
        ],
      },
      {
        what: 'without arguments, and without the tag that opens a value',
        output:
          '<tool_call>now</tool_call><tool_call>get<arg_key>q</arg_key>how many</arg_value></tool_call>',
        expected: ['call|now|{}', 'call|get|{"q": "how many"}'],
      },
      {
        what: 'a key without a value is text',
        output: '<tool_call>get\n<arg_key>a</arg_key>\n</tool_call>',
        expected: ['text|<tool_call>get\n<arg_key>a</arg_key>\n</tool_call>'],
      },
    ],
  },
  llama3: {
    format: { calls: 'llama3' },
    outputs: [
      {
        what: 'one call',
        output: '{"name": "get_weather", "parameters": {"city": "A"}}',
        expected: ['call|get_weather|{"city": "A"}'],
      },
      {
        what: 'several calls',
        output:
          '{"name": "get", "parameters": {}}; {"name": "now", "parameters": {}}\n{"name": "now", "parameters": {}}',
        expected: ['call|get|{}', 'call|now|{}', 'call|now|{}'],
      },
      {
        what: 'after the python tag',
        output: '<|python_tag|>{"type": "function", "name": "now", "parameters": {}}',
        expected: ['call|now|{}'],
      },
      {
        what: 'the small models’ `function`',
        output: '{"type": "function", "function": "now", "parameters": {}}',
        expected: ['call|now|{}'],
      },
      {
        what: 'on a line of its own after text',
        output: 'I look:\n{"name": "now", "parameters": {}}',
        expected: ['text|I look:', 'call|now|{}'],
      },
      {
        what: 'within a line it is text',
        output: 'Say {"name": "now", "parameters": {}}.',
        expected: ['text|Say {"name": "now", "parameters": {}}.'],
      },
      {
        what: 'JSON that is no call is text',
        output: '{"name": "Ann", "age": 4}\n{"a": [{"name": "now"}]}',
        expected: ['text|{"name": "Ann", "age": 4}\n{"a": [{"name": "now"}]}'],
      },
      {
        what: 'code after the python tag is text',
        output: '<|python_tag|>print(1)',
        expected: ['text|<|python_tag|>print(1)'],
      },
      {
        what: 'a tool that is none after one that is',
        output: '{"name": "now", "parameters": {}}; {"name": "nope", "parameters": {}}',
        expected: ['call|now|{}', 'text|; {"name": "nope", "parameters": {}}'],
      },
    ],
  },
  mistral: {
    format: { reasoning: 'mistral', calls: 'mistral' },
    outputs: [
      {
        what: 'reasoning, then calls by name',
        output:
          '[THINK]hm[/THINK]So.[TOOL_CALLS]get_weather[CALL_ID]Ab1cd2ef3[ARGS]{"city": "[ARGS]"}[TOOL_CALLS]now[ARGS]{}',
        expected: [
          'reasoning|hm',
          'text|So.',
          'call|get_weather|{"city": "[ARGS]"}',
          'call|now|{}',
        ],
      },
      {
        what: 'a list of calls',
        output:
          '[TOOL_CALLS][{"name": "get_weather", "arguments": {"city": "A"}, "id": "abcdefghi"}, {"name": "now", "arguments": {}}]',
        expected: ['call|get_weather|{"city": "A"}', 'call|now|{}'],
      },
      {
        what: 'one call without its list, and arguments without their tag',
        output: '[TOOL_CALLS] {"name": "now", "arguments": {}}[TOOL_CALLS]get{"a": 1}',
        expected: ['call|now|{}', 'call|get|{"a": 1}'],
      },
      {
        what: 'an undeclared tool is text',
        output: '[TOOL_CALLS]nope[ARGS]{"a": 1}',
        expected: ['text|[TOOL_CALLS]nope[ARGS]{"a": 1}'],
      },
      {
        what: 'broken arguments end where the next call begins',
        output: '[TOOL_CALLS]get[ARGS]{"a": oops}[TOOL_CALLS]now[ARGS]{}',
        expected: ['call|get|{"a": oops}', 'call|now|{}'],
      },
      {
        what: 'text that only looks so',
        output: 'a[0] [TOOL]',
        expected: ['text|a[0] [TOOL]'],
      },
    ],
  },
  gemma4: {
    format: { reasoning: 'gemma4', calls: 'gemma4' },
    outputs: [
      {
        what: 'thought, text, parallel calls',
        output:
          '<|channel>thought\nA <b>.\n<channel|>Moment.<|tool_call>call:get_weather{city:<|"|>Zü "q" {a,b}\n<|x<|"|>,days:3,hours:[1,<|"|>b<|"|>,{k:true}],area:{},note:null}<tool_call|><|tool_call>call:now{}<tool_call|>',
        expected: [
          'reasoning|A <b>.',
          'text|Moment.',
          'call|get_weather|{"city": "Zü \\"q\\" {a,b}\\n<|x", "days": 3, "hours": [1, "b", {"k": true}], "area": {}, "note": null}',
          'call|now|{}',
        ],
      },
      {
        what: 'the prompt opens the thought',
        promptTail: '<|turn>model\n<|channel>thought\n',
        output: 'x<channel|>y',
        expected: ['reasoning|x', 'text|y'],
      },
      {
        what: 'a thought after text',
        output: 'a<|channel>thought\nb\n<channel|>c',
        expected: ['text|a', 'reasoning|b', 'text|c'],
      },
      {
        what: 'keys and strings in other quotes, words without',
        output: '<|tool_call>call:get{<|"|>a b<|"|>:"x\\n", "c": New York, d:-1.5e3 }<tool_call|>',
        expected: ['call|get|{"a b": "x\\n", "c": "New York", "d": -1.5e3}'],
      },
      {
        what: 'quotes inside a string, and commas and brackets after them',
        output:
          '<|tool_call>call:get{code:<|"|>f(<|"|>a<|"|>, b) <|"|><|"|><|"|>x<|"|><|"|><|"|> {<|"|>k<|"|>} [<|"|>]<|"|>, n: [<|"|>a<|"|>,<|"|>b<|"|> ]}<tool_call|>',
        expected: [
          'call|get|{"code": "f(\\"a\\", b) \\"\\"\\"x\\"\\"\\" {\\"k\\"} [\\"]", "n": ["a", "b"]}',
        ],
      },
      {
        what: 'keys with =, strings in single quotes',
        output:
          '<|tool_call>call:get{a=<|"|>x<|"|>,b=[\'it\\\'s "y"\', \'\\n\'],c="z"}<tool_call|>',
        expected: ['call|get|{"a": "x", "b": ["it\'s \\"y\\"", "\\n"], "c": "z"}'],
      },
      {
        what: 'an undeclared tool is text',
        output: '<|tool_call>call:nope{a:1}<tool_call|>',
        expected: ['text|<|tool_call>call:nope{a:1}<tool_call|>'],
      },
      {
        what: 'broken arguments stay with the call',
        output: '<|tool_call>call:get{a:1;b:2}<tool_call|>x',
        expected: ['call|get|{"a": "1;b:2"}', 'text|x'],
      },
      {
        what: 'a bracket too few stays with the call',
        output: '<|tool_call>call:get{a:[1,2<tool_call|>x',
        expected: ['call|get|{"a": [1, 2', 'text|x'],
      },
      {
        what: 'cut inside a string',
        output: '<|tool_call>call:get_weather{city:<|"|>Par',
        expected: ['void|get_weather|{"city": "Par'],
      },
    ],
  },
  deepseek: {
    format: { reasoning: 'think', calls: 'deepseek' },
    outputs: [
      {
        what: 'V3.1',
        output:
          'Moment.<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{"city": "A"}<｜tool▁call▁end｜><｜tool▁call▁begin｜>now<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
        expected: ['text|Moment.', 'call|get_weather|{"city": "A"}', 'call|now|{}'],
      },
      {
        what: 'R1',
        promptTail: '<｜Assistant｜><think>\n',
        output:
          'hm\n</think>\n\n<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n```json\n{"city": "A"}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>now\n```json\n{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
        expected: ['reasoning|hm', 'call|get_weather|{"city": "A"}', 'call|now|{}'],
      },
      {
        what: 'the outer mark in other letters',
        output: '<｜tool_calls_begin｜><｜tool▁call▁begin｜>now<｜tool▁sep｜>{}<｜tool▁call▁end｜>',
        expected: ['call|now|{}'],
      },
      {
        what: 'without the outer marks',
        output: '<｜tool▁call▁begin｜>now<｜tool▁sep｜>{}<｜tool▁call▁end｜>',
        expected: ['call|now|{}'],
      },
      {
        what: 'an undeclared tool is text',
        output:
          '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>nope<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
        expected: [
          'text|<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>nope<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
        ],
      },
    ],
  },
  phi: {
    format: { calls: 'phi' },
    outputs: [
      {
        what: 'a list between tags',
        output:
          '<|tool_call|>[{"name": "get_weather", "arguments": {"city": "A"}}, {"type": "function", "name": "now", "parameters": {}}]<|/tool_call|>',
        expected: ['call|get_weather|{"city": "A"}', 'call|now|{}'],
      },
      {
        what: 'functools',
        output: 'ok functools[{"name": "now", "arguments": {}}]',
        expected: ['text|ok', 'call|now|{}'],
      },
      {
        what: 'the word alone is text',
        output: 'import functools\nfunctools.reduce',
        expected: ['text|import functools\nfunctools.reduce'],
      },
      {
        what: 'an undeclared tool is text',
        output: '<|tool_call|>[{"name": "x", "arguments": {}}]<|/tool_call|>',
        expected: ['text|<|tool_call|>[{"name": "x", "arguments": {}}]<|/tool_call|>'],
      },
    ],
  },
  harmony: {
    format: { reasoning: 'harmony', calls: 'harmony', promptTail: '<|start|>assistant' },
    outputs: [
      {
        what: 'analysis, a preamble, a call',
        output:
          '<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>commentary<|message|>Moment.<|end|><|start|>assistant<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{"city": "A"}',
        expected: ['reasoning|hm', 'text|Moment.', 'call|get_weather|{"city": "A"}'],
      },
      {
        what: 'analysis, then the answer',
        output:
          '<|channel|>analysis<|message|>2 < 3, <b>.<|end|><|start|>assistant<|channel|>final<|message|>Yes. ',
        expected: ['reasoning|2 < 3, <b>.', 'text|Yes. '],
      },
      {
        what: 'the recipient in front, and a call on the analysis channel',
        output:
          ' to=functions.now<|channel|>commentary json<|message|>{}<|call|><|start|>assistant<|channel|>analysis to=functions.get code<|message|>\n{"a": 1}<|call|>',
        expected: ['call|now|{}', 'call|get|{"a": 1}'],
      },
      {
        what: 'other recipients are text',
        output:
          '<|channel|>commentary to=functions.nope <|constrain|>json<|message|>{"a": 1}<|end|>',
        expected: [
          'text|<|channel|>commentary to=functions.nope <|constrain|>json<|message|>{"a": 1}',
        ],
      },
      {
        what: 'a call that is no JSON is text',
        output: '<|channel|>commentary to=functions.now<|message|>go<|end|>',
        expected: ['text|<|channel|>commentary to=functions.now<|message|>go'],
      },
      {
        what: 'a call that stops being JSON keeps its arguments',
        output:
          '<|channel|>commentary to=functions.get<|message|>{"a": oops}<|call|><|start|>assistant<|channel|>final<|message|>x',
        expected: ['call|get|{"a": oops}', 'text|x'],
      },
      {
        what: 'the prompt has begun the message',
        promptTail: '<|start|>assistant<|channel|>analysis<|message|>',
        output: 'a<|end|><|start|>assistant<|channel|>final<|message|>b',
        expected: ['reasoning|a', 'text|b'],
      },
      { what: 'no header at all', output: 'Hi <there>', expected: ['text|Hi <there>'] },
      {
        what: 'cut inside a header',
        output: '<|channel|>analysis<|message|>a<|end|><|start|>assistant<|chan',
        expected: ['reasoning|a', 'text|<|start|>assistant<|chan'],
      },
    ],
  },
  'no parser': {
    format: {},
    outputs: [
      {
        what: 'everything is text',
        output: ' <think>\n a</think><tool_call>{"name": "now"}</tool_call> ',
        expected: ['text| <think>\n a</think><tool_call>{"name": "now"}</tool_call> '],
      },
    ],
  },
  'no tools': {
    format: { reasoning: 'think', calls: 'hermes', tools: new Map() },
    outputs: [
      {
        what: 'reasoning is told apart, calls are text',
        output: '<think>a</think><tool_call>{"name": "now"}</tool_call>',
        expected: ['reasoning|a', 'text|<tool_call>{"name": "now"}</tool_call>'],
      },
    ],
  },
}
