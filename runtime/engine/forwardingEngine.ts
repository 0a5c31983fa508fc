import type {
  Accepted,
  DetokenizeJob,
  Embedded,
  EmbedJob,
  Engine,
  EngineHealth,
  GenerateJob,
  JsonObject,
  ModelInfo,
  ModelMetrics,
  Tokenized,
  TokenizeJob,
} from '../../edge/engine.ts'

/** An engine in front of another that does as that one does, but for what a subclass does its own way. */
export abstract class ForwardingEngine<Inner extends Omit<Engine, 'attach'>>
  implements Omit<Engine, 'attach'>
{
  protected readonly inner: Inner

  constructor(inner: Inner) {
    this.inner = inner
  }

  submit(job: GenerateJob, signal: AbortSignal): Promise<Accepted> {
    return this.inner.submit(job, signal)
  }

  cancel(id: string, owner: string | undefined): Promise<boolean> {
    return this.inner.cancel(id, owner)
  }

  embed(job: EmbedJob, signal: AbortSignal): Promise<Embedded> {
    return this.inner.embed(job, signal)
  }

  tokenize(job: TokenizeJob, signal: AbortSignal): Promise<Tokenized> {
    return this.inner.tokenize(job, signal)
  }

  detokenize(job: DetokenizeJob, signal: AbortSignal): Promise<string> {
    return this.inner.detokenize(job, signal)
  }

  models(): Promise<ModelInfo[]> {
    return this.inner.models()
  }

  load(model: string): Promise<ModelInfo> {
    return this.inner.load(model)
  }

  unload(model: string): Promise<ModelInfo> {
    return this.inner.unload(model)
  }

  health(): Promise<EngineHealth> {
    return this.inner.health()
  }

  system(): Promise<JsonObject[]> {
    return this.inner.system()
  }

  metrics(): Promise<ModelMetrics[]> {
    return this.inner.metrics()
  }
}
