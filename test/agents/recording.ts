/** A call of the recorded agent and what came of it. */
export interface RecordedCall {
  kind: 'function' | 'shell' | 'patch'
  name: string
  arguments: Record<string, unknown>
  output: string
}

/** One answer of the model, with what the user had said before it, if anything. */
export interface RecordedTurn {
  user?: string
  reasoning: string
  text: string
  calls: RecordedCall[]
}

const read = (path: string, output: string): RecordedCall => ({
  kind: 'function',
  name: 'read_file',
  arguments: { path, offset: 1, limit: 200 },
  output,
})
const search = (pattern: string, output: string): RecordedCall => ({
  kind: 'function',
  name: 'grep_files',
  arguments: { pattern, include: '*.ts', limit: 50 },
  output,
})
const shell = (command: string, output: string): RecordedCall => ({
  kind: 'shell',
  name: 'local_shell',
  arguments: { command: ['bash', '-lc', command], timeout_ms: 120_000 },
  output,
})
const patch = (path: string, before: string, after: string): RecordedCall => ({
  kind: 'patch',
  name: 'apply_patch',
  arguments: {
    input: `*** Begin Patch\n*** Update File: ${path}\n@@\n-${before}\n+${after}\n*** End Patch`,
  },
  output: `Success. Updated the following files:\nM ${path}`,
})

/** Ten turns over three questions: looking, changing, testing, answering. */
export const recordedTurns: RecordedTurn[] = [
  {
    user: 'The parser drops the last field of a CSV line when it is empty. Please fix it.',
    reasoning: 'I should find the parser and its tests before I change anything.',
    text: 'I will look for the parser first.',
    calls: [
      search(
        'splitLine|parseCsv',
        'src/csv/parse.ts:14: export function splitLine(\nsrc/index.ts:3',
      ),
    ],
  },
  {
    reasoning: 'parse.ts is where lines are split.',
    text: '',
    calls: [
      read(
        'src/csv/parse.ts',
        '14: export function splitLine(line: string): string[] {\n15:   const fields = []\n16:   let at = 0\n17:   while (at < line.length) {\n18:     const end = line.indexOf(",", at)\n19:     fields.push(line.slice(at, end))\n20:     at = end + 1\n21:   }\n22:   return fields\n23: }',
      ),
      read(
        'test/csv.test.ts',
        '1: import { splitLine } from "../src/csv/parse.ts"\n2: // "é,ü" 日本 😀',
      ),
    ],
  },
  {
    reasoning:
      'The loop ends when the position reaches the end, so a trailing empty field is never pushed.',
    text: 'The loop stops before a field that is empty at the end of the line.',
    calls: [
      patch('src/csv/parse.ts', '  while (at < line.length) {', '  while (at <= line.length) {'),
    ],
  },
  {
    reasoning: 'Now the tests.',
    text: '',
    calls: [
      shell(
        'npm test -- csv',
        '\u001b[32m✓\u001b[0m test/csv.test.ts (6 tests) 14ms\n\n Tests  6 passed (6)',
      ),
    ],
  },
  {
    reasoning: 'All pass; the answer can be short.',
    text: 'Fixed: `splitLine` keeps an empty last field. All six tests of the parser pass.',
    calls: [],
  },
  {
    user: 'Thanks. Does the same happen with semicolons as the separator?',
    reasoning: 'There may be an option for the separator. Look for it.',
    text: '',
    calls: [search('separator|delimiter', 'src/csv/options.ts:5: separator?: "," | ";"')],
  },
  {
    reasoning: 'splitLine ignores the option: it always looks for a comma.',
    text: 'The option exists but `splitLine` does not read it.',
    calls: [
      patch(
        'src/csv/parse.ts',
        '    const end = line.indexOf(",", at)',
        '    const end = line.indexOf(separator, at)',
      ),
      shell('npm test', ' Tests  41 passed (41)\n   Duration  1.92s'),
    ],
  },
  {
    reasoning: 'Done. Say what was wrong.',
    text: 'It did not work at all with semicolons: the option was ignored. It is used now, and all 41 tests pass.',
    calls: [],
  },
  {
    user: 'Good. Commit this with a message that explains why.',
    reasoning: 'One commit, message with the reason.',
    text: '',
    calls: [
      shell(
        'git commit -am "csv: keep empty last fields"',
        '[main 3f2c1aa] csv: keep empty last fields\n 2 files changed',
      ),
    ],
  },
  {
    reasoning: 'The commit is there.',
    text: 'Committed as 3f2c1aa.',
    calls: [],
  },
]

const subjects = [
  ...[
    'Reading files',
    'Editing files',
    'Searching',
    'Running commands',
    'Tests',
    'Version control',
  ],
  ...[
    'Dependencies',
    'Security',
    'Performance',
    'Style',
    'Errors',
    'Answers',
    'Plans',
    'Approvals',
  ],
]
const rules = [
  'Prefer the tool made for the task over a shell command, and say in one sentence what you are about to do.',
  'Never guess the contents of a file: read it first, and read as much of it as the change can touch.',
  'Keep changes small and in the style of the code around them; do not reformat what you do not change.',
  'When a command fails, read the whole output, find the first cause, and fix that, not its symptoms.',
  'Do not ask for what you can find out; ask when the answer would change what you do and cannot be found.',
  'Stop when the task is done, and report what was done, what was measured, and what is left, in that order.',
]

const languages = ['TypeScript', 'Python', 'C++']

/** Instructions as long as those of coding agents: more than 15,000 tokens of the tiny models' vocabulary. */
export const systemPrompt = [
  'You are a coding agent that works in a terminal, in the repository of the user, until the task is done.',
  ...languages.flatMap(language =>
    subjects.map(subject =>
      [
        `# ${subject} in ${language}`,
        ...rules.map((rule, i) => `${i + 1}. (${subject}) ${rule}`),
      ].join('\n'),
    ),
  ),
].join('\n\n')

/** A function that agents have, in the terms of JSON schema. */
export interface RecordedTool {
  name: string
  description: string
  parameters: { type: 'object'; properties: Record<string, object>; required: string[] }
}

const field = (type: string, description: string) => ({ type, description })
const named = (name: string, description: string, ...fields: string[]): RecordedTool => ({
  name,
  description,
  parameters: {
    type: 'object',
    properties: Object.fromEntries(fields.map(f => [f, field('string', `The ${f} to use.`)])),
    required: fields.slice(0, 1),
  },
})

/** Twenty functions. */
export const recordedTools: RecordedTool[] = [
  {
    name: 'read_file',
    description: 'Reads part of a text file, with line numbers.',
    parameters: {
      type: 'object',
      properties: {
        path: field('string', 'Path from the root of the repository.'),
        offset: field('integer', 'First line, from 1.'),
        limit: field('integer', 'Number of lines.'),
      },
      required: ['path'],
    },
  },
  {
    name: 'grep_files',
    description: 'Searches the contents of files for a regular expression.',
    parameters: {
      type: 'object',
      properties: {
        pattern: field('string', 'Regular expression.'),
        include: field('string', 'Glob of the files to search.'),
        limit: field('integer', 'Most results.'),
      },
      required: ['pattern'],
    },
  },
  named('write_file', 'Writes a file, replacing what is there.', 'path', 'content'),
  named('list_dir', 'Lists the entries of a folder.', 'path', 'depth'),
  named('glob', 'Finds files by name.', 'pattern', 'path'),
  named('move_file', 'Renames a file or folder.', 'from', 'to'),
  named('delete_file', 'Deletes a file.', 'path'),
  named(
    'update_plan',
    'Says which steps are planned, in progress and done.',
    'plan',
    'explanation',
  ),
  named('view_image', 'Attaches an image of the repository.', 'path'),
  named('web_fetch', 'Reads a page.', 'url', 'prompt'),
  named('ask_user', 'Asks the user to choose.', 'question', 'options'),
  named('task', 'Starts another agent on a part of the work.', 'description', 'prompt', 'kind'),
  named('notebook_edit', 'Changes a cell of a notebook.', 'path', 'cell', 'content'),
  named('kill_shell', 'Ends a command that runs in the background.', 'id'),
  named('shell_output', 'Reads what such a command has printed.', 'id', 'filter'),
  named('todo_write', 'Keeps the list of what is to be done.', 'todos'),
  named('git_blame', 'Says who last changed each line.', 'path', 'lines'),
  named('run_tests', 'Runs tests by name.', 'pattern'),
  named('diagnostics', 'Lists the errors of the compiler.', 'path'),
  named('exit_plan_mode', 'Says that the plan is complete.', 'plan'),
]
