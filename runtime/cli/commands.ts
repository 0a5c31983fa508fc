import { Argument, Command, Option } from 'commander'
import packageJson from '../../package.json' with { type: 'json' }
import type { BenchOptions } from './bench.ts'
import type { ConformanceOptions } from './conformance.ts'
import type { ContainerOptions } from './container.ts'
import type { EdgeOptions } from './edge.ts'
import type { KeyOptions } from './key.ts'
import {
  addModelOptions,
  checkModelOptions,
  collect,
  integer,
  integerList,
  type ModelOptions,
  nonEmpty,
  onOff,
  seed,
} from './options.ts'
import type { PlanOptions } from './plan.ts'
import type { RunOptions } from './run.ts'
import type { ServeOptions } from './serve.ts'
import { addTlsOptions } from './tlsOptions.ts'
import { collectUpstream } from './upstreamOption.ts'

/**
 * The whole command line. Only the command that runs is imported, so that help and mistakes answer at once.
 * @param execute runs the command that was chosen, which resolves to the exit code
 */
export function createProgram(execute: (command: () => Promise<number>) => Promise<void>): Command {
  const program = new Command('mistralrs')
    .description('Serve a language model with the APIs of OpenAI and Anthropic')
    .version(packageJson.version, '-V, --version')
    .option('--seed <n>', 'seed of requests that bring none (default: drawn for each)', seed)
    .option('-v, --verbose', 'more log lines', (_value: string, count: number) => count + 1, 0)
    .configureHelp({ showGlobalOptions: true })
    .exitOverride()

  /** Options of the model first, as in every command, then the command's own. */
  const modelCommand = <T extends ModelOptions>(
    name: string,
    description: string,
    defaults: { maxSeqs: number },
    load: () => Promise<(options: T) => Promise<number>>,
  ) => {
    const command = program.command(name).description(description)
    command.addArgument(
      new Argument('[kind]', 'kind of model').choices(['auto', 'text']).default('auto'),
    )
    addModelOptions(command, defaults)
    return command.action(async () => {
      checkModelOptions(command)
      const options = command.optsWithGlobals<T>()
      await execute(async () => (await load())(options))
    })
  }

  // One conversation at a time needs no memory for more.
  const single = { maxSeqs: 1 }

  addHttpOptions(
    modelCommand<ServeOptions>(
      'serve',
      'serve a model over HTTP',
      { maxSeqs: 32 },
      async () => (await import('./serve.ts')).serve,
    ),
  ).option('--served-model-name <name>', 'id clients use instead of -m', nonEmpty)

  const container = modelCommand<ContainerOptions>(
    'container',
    'run a model for edges, behind HTTP/2 and HTTP/1.1',
    { maxSeqs: 32 },
    async () => (await import('./container.ts')).container,
  )
  container
    .option('-p, --port <n>', 'port; 0 takes a free one', integer(0, 65535), 8443)
    .option('--host <address>', 'address to bind', nonEmpty, '0.0.0.0')
    .option('--secret-file <file>', 'serve only edges that know what it holds', nonEmpty)
    .option('--max-body-mb <n>', 'largest job in MiB', integer(1, 4096), 64)
    .option('--served-model-name <name>', 'id clients use instead of -m', nonEmpty)
  addTlsOptions(container)

  const edge = program
    .command('edge')
    .description('serve the HTTP API without a model, in front of containers')
    .addOption(
      new Option(
        '--upstream <url>',
        'container, for example https://gpu-0:8443 (required, repeatable)',
      )
        .argParser(collectUpstream)
        .default([], 'none'),
    )
    .option('--upstream-ca <file>', 'authority of their certificates (PEM)', nonEmpty)
    .option('--secret-file <file>', 'what the containers were given too', nonEmpty)
  addHttpOptions(edge).action(async () => {
    const options = edge.optsWithGlobals<EdgeOptions>()
    if (options.upstream.length === 0) {
      edge.error("error: required option '--upstream <url>' not specified")
    }
    await execute(async () => (await import('./edge.ts')).edge(options))
  })

  modelCommand<RunOptions>(
    'run',
    'chat in the terminal, or answer once with -i',
    single,
    async () => (await import('./run.ts')).run,
  )
    .option('-i, --input <text>', 'one request: print the answer and exit')
    .addOption(
      new Option('--thinking [bool]', 'ask the template for reasoning, or with false for none')
        .argParser(onOff)
        .preset('true'),
    )

  modelCommand<BenchOptions>(
    'bench',
    'measure prefill and decode speed',
    single,
    async () => (await import('./bench.ts')).bench,
  )
    .addOption(list('--prompt-len <list>', 'prompt lengths to prefill, 0 for none', 0, 512))
    .option('--gen-len <n>', 'tokens to generate, below 2 for none', integer(0), 128)
    .addOption(list('--depth <list>', 'tokens in the cache when decoding starts', 1, 4))
    .addOption(list('--concurrency <list>', 'streams that decode at once', 1, 1))
    .option('--iterations <n>', 'timed runs of each test', integer(1), 3)
    .option('--warmup <n>', 'runs before them', integer(0), 1)
    .option('--json', 'print one JSON object')

  modelCommand<PlanOptions>(
    'plan',
    'print the compiled plan of a model',
    single,
    async () => (await import('./plan.ts')).plan,
  )
    .option('--no-fuse', 'one op for each line of the model definition')
    .option('--weights <file>', "also write where its weights lie, in plan_run's format", nonEmpty)

  const conformance = program
    .command('conformance')
    .description('say which points of the official clients a server keeps')
    .requiredOption('--base-url <url>', 'the server, with or without /v1 (required)', nonEmpty)
    .option('--api-key <key>', 'key to send', nonEmpty)
    .option('--model <id>', 'model to ask for (default: the first that it lists)', nonEmpty)
    .option('--json', 'print one JSON object')
    .action(async () => {
      const options = conformance.opts<ConformanceOptions>()
      await execute(async () => (await import('./conformance.ts')).conformance(options))
    })

  const key = program.command('key').description('make API keys for --api-key-file')
  const create = key
    .command('new')
    .description('print a fresh key, and its entry for the list')
    .requiredOption('--name <name>', 'who it is for; unique in the list (required)', nonEmpty)
    .addOption(several('--allow-model <id>', 'model it may use (repeatable)', 'all'))
    .option('--requests-per-minute <n>', 'limit', integer(1))
    .option('--tokens-per-minute <n>', 'limit, of prompts and answers together', integer(1))
    .option('--max-concurrent <n>', 'requests that may run at once', integer(1))
    .option('--admin', 'it may load and unload models')
    .option('--file <file>', 'add the entry to this list', nonEmpty)
    .action(async () => {
      await execute(async () => (await import('./key.ts')).createKey(create.opts<KeyOptions>()))
    })

  for (const command of [program, ...program.commands, ...key.commands]) {
    const usage = command.createHelp().commandUsage(command)
    command
      .copyInheritedSettings(program)
      .showHelpAfterError(`\nUsage: ${usage}\n\nFor more information, try --help.`)
  }
  return program
}

/** A repeatable option. */
function several(flags: string, description: string, without: string): Option {
  return new Option(flags, description).argParser(collect).default([], without)
}

/** An option of comma-separated integers. */
function list(flags: string, description: string, minimum: number, value: number): Option {
  const option = new Option(flags, description).argParser(integerList(minimum))
  return option.default([value], String(value))
}

/** Options of every command that serves clients. */
function addHttpOptions(command: Command): Command {
  command
    .option('-p, --port <n>', 'port; 0 takes a free one', integer(0, 65535), 1234)
    .option('--host <address>', 'address to bind', nonEmpty, '0.0.0.0')
    .addOption(several('--api-key <key>', 'accept only this key (repeatable)', 'any'))
    .option('--api-key-file <file>', 'accept the keys of this list: see `mistralrs key`', nonEmpty)
    .addOption(several('--cors-origin <origin>', 'origin of browser apps (repeatable)', 'any'))
    .addOption(
      several(
        '--allowed-host <name>',
        'name by which clients call it, * for any (repeatable)',
        'its own',
      ),
    )
    .option('--max-body-mb <n>', 'largest request body in MiB', integer(1, 4096), 50)
    .option(
      '--response-store <where>',
      'SQLite file of stored responses, memory or off (default: a file in the cache folder)',
      nonEmpty,
    )
    .option('--strict-openai', "OpenAI's defaults where this server's differ")
    .option('--disable-metrics', 'no GET /metrics')
    .option('--disable-access-log', 'no log line for each request')
    .addOption(
      new Option('--access-log-format <format>', 'how requests are logged')
        .choices(['text', 'json'])
        .default('text'),
    )
    .option('--access-log-health', 'log probes and scrapes too')
    .option('--disable-request-id-header', 'no x-request-id on answers')
  return addTlsOptions(command)
}
