#include "addon/model_object.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>

#include "addon/settler.h"

namespace mistralrs {
namespace {

Napi::Value scoreToJs(Napi::Env env, const SampleResult& result) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("logprobs", toTypedArray(env, result.logprobs));
  object.Set("topIds", toTypedArray(env, result.topIds));
  object.Set("topLogprobs", toTypedArray(env, result.topLogprobs));
  object.Set("maxTop", Napi::Number::New(env, result.maxTop));
  return object;
}

}  // namespace

ModelObject::ModelObject(Napi::Env env, std::shared_ptr<WorkQueue> queue, ModelRunner* runner, int maxSlots)
    : environment_(Environment::of(env)), queue_(std::move(queue)), runner_(runner), vocab_(runner->plan().vocab),
      numOps_(static_cast<int>(runner->plan().ops.size())), slotIsOpen_(maxSlots) {}

ModelObject::~ModelObject() { queue_->stop(); }

Napi::Object ModelObject::toJs(Napi::Env env, const LoadSpec& spec) {
  Napi::Object info = Napi::Object::New(env);
  const Backend& backend = runner_->backend();  // before the first call is queued
  const bool isReference = spec.backend == LoadSpec::Backend::kReference;
  info.Set("backend", isReference ? "reference" : spec.backend == LoadSpec::Backend::kCuda ? "cuda" : "cpu");
  info.Set("isa", isReference ? "generic" : backend.isa());
  info.Set("threads", Napi::Number::New(env, spec.options.threads));
  info.Set("weightBytes", Napi::Number::New(env, static_cast<double>(backend.weightBytes())));
  info.Set("kvBytes", Napi::Number::New(env, static_cast<double>(spec.options.numPages) * static_cast<double>(spec.options.pageBytes)));

  Napi::Object object = Napi::Object::New(env);
  object.Set("info", info);
  const auto method = [&](const char* name, Napi::Value (ModelObject::*call)(const Napi::CallbackInfo&)) {
    object.Set(name, Napi::Function::New(env, [self = shared_from_this(), call](const Napi::CallbackInfo& arguments) -> Napi::Value {
      try {
        return ((*self).*call)(arguments);
      } catch (const Napi::Error&) {
        throw;
      } catch (...) {
        throw toJsError(arguments.Env(), currentError());
      }
    }, name));
  };
  method("forward", &ModelObject::forward);
  method("sample", &ModelObject::sample);
  method("score", &ModelObject::score);
  method("readLogits", &ModelObject::readLogits);
  method("readBuffer", &ModelObject::readBuffer);
  method("copyPages", &ModelObject::copyPages);
  method("openSlot", &ModelObject::openSlot);
  method("closeSlot", &ModelObject::closeSlot);
  method("interrupt", &ModelObject::interrupt);
  method("dispose", &ModelObject::dispose);
  return object;
}

void ModelObject::requireAlive() const {
  if (disposed_) throw Error("disposed", "the model has been disposed of");
}

Napi::Value ModelObject::submit(Napi::Env env, const std::function<Work()>& prepare) {
  Napi::Value promise;
  const Settler settler = Settler::start(env, promise);
  Work work;
  try {
    requireAlive();
    work = prepare();
    requireAlive();  // a getter may have disposed of the model
  } catch (...) {
    const Error error = currentError();
    if (disposed_) {
      settler.reject(env, error);
      return promise;
    }
    work = [error](const std::atomic<bool>&) -> ToJs { throw error; };
  }
  environment_.channel().hold(env);
  queue_->push([self = shared_from_this(), settler, work = std::move(work)](const std::atomic<bool>& interrupt) mutable {
    ToJs toJs;
    Error error("", "");
    try {
      toJs = work(interrupt);
    } catch (...) {
      error = currentError();
    }
    JsChannel& channel = self->environment_.channel();
    channel.post([self = std::move(self), settler, toJs = std::move(toJs), error = std::move(error)](Napi::Env env) {
      if (toJs) settler.resolve(env, toJs);
      else settler.reject(env, error);
      self->environment_.channel().release(env);
    });
  });
  return promise;
}

Napi::Value ModelObject::forward(const Napi::CallbackInfo& info) {
  return submit(info.Env(), [&]() -> Work {
    try {
      const Argument stopAfterOp{info[1], "stopAfterOp"};
      const int lastOp = stopAfterOp.isAbsent() ? numOps_ - 1 : static_cast<int>(toInteger(stopAfterOp, 0, numOps_ - 1));
      Batch batch = readStepBatch({info[0], "batch"});
      return [this, lastOp, batch = std::move(batch)](const std::atomic<bool>& interrupt) mutable -> ToJs {
        const auto start = std::chrono::steady_clock::now();
        runner_->forward(std::move(batch), lastOp, interrupt);
        const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
        return [ms = took.count()](Napi::Env env) {
          Napi::Object stats = Napi::Object::New(env);
          stats.Set("ms", Napi::Number::New(env, ms));
          return stats;
        };
      };
    } catch (const Error& error) {
      return [this, error](const std::atomic<bool>&) -> ToJs {
        runner_->forwardRefused(error);
        throw error;
      };
    }
  });
}

Napi::Value ModelObject::sample(const Napi::CallbackInfo& info) {
  return submit(info.Env(), [&]() -> Work {
    const Argument batch{info[0], "batch"};
    try {
      return [this, batch = readSampleBatch(batch)](const std::atomic<bool>& interrupt) -> ToJs {
        return [result = runner_->sample(batch, interrupt)](Napi::Env env) {
          Napi::Object object = scoreToJs(env, result).As<Napi::Object>();
          object.Set("tokens", toTypedArray(env, result.tokens));
          return object;
        };
      };
    } catch (const Error& error) {
      // If at least the slots can be read, they have a newest sample that failed.
      std::vector<int32_t> slots = toVector<int32_t>(property(batch, "slots"));
      return [this, error, slots = std::move(slots)](const std::atomic<bool>&) -> ToJs {
        runner_->sampleRefused(slots, error);
        throw error;
      };
    }
  });
}

Napi::Value ModelObject::score(const Napi::CallbackInfo& info) {
  return submit(info.Env(), [&]() -> Work {
    return [this, batch = readScoreBatch({info[0], "batch"})](const std::atomic<bool>& interrupt) -> ToJs {
      return [result = runner_->score(batch, interrupt)](Napi::Env env) { return scoreToJs(env, result); };
    };
  });
}

Napi::Value ModelObject::readLogits(const Napi::CallbackInfo& info) {
  return submit(info.Env(), [&]() -> Work {
    const auto row = static_cast<int>(toInteger({info[0], "row"}, 0, std::numeric_limits<int32_t>::max()));
    return [this, row](const std::atomic<bool>& interrupt) -> ToJs {
      return [logits = runner_->readLogits(row, interrupt)](Napi::Env env) { return toTypedArray(env, logits); };
    };
  });
}

Napi::Value ModelObject::readBuffer(const Napi::CallbackInfo& info) {
  return submit(info.Env(), [&]() -> Work {
    return [this, name = toText({info[0], "name"})](const std::atomic<bool>& interrupt) -> ToJs {
      return [values = runner_->readBuffer(name, interrupt)](Napi::Env env) { return toTypedArray(env, values); };
    };
  });
}

Napi::Value ModelObject::copyPages(const Napi::CallbackInfo& info) {
  return submit(info.Env(), [&]() -> Work {
    std::vector<int32_t> from = toVector<int32_t>({info[0], "from"}), to = toVector<int32_t>({info[1], "to"});
    return [this, from = std::move(from), to = std::move(to)](const std::atomic<bool>& interrupt) -> ToJs {
      runner_->copyPages(from, to, interrupt);
      return [](Napi::Env env) { return env.Undefined(); };
    };
  });
}

Napi::Value ModelObject::openSlot(const Napi::CallbackInfo& info) {
  requireAlive();
  SlotOptions options = readSlotOptions({info[0], "options"});
  validateSlotOptions(options, vocab_);
  requireAlive();  // a getter may have disposed of the model
  const auto free = std::find(slotIsOpen_.begin(), slotIsOpen_.end(), false);
  if (free == slotIsOpen_.end()) throw Error("no_slot", format("all %zu slots (maxSlots) are open", slotIsOpen_.size()));
  *free = true;
  const int slot = static_cast<int>(free - slotIsOpen_.begin());
  queue_->push([runner = runner_, slot, options = std::move(options)](const std::atomic<bool>&) mutable {
    runner->openSlot(slot, std::move(options));
  });
  return Napi::Number::New(info.Env(), slot);
}

Napi::Value ModelObject::closeSlot(const Napi::CallbackInfo& info) {
  requireAlive();
  const auto slot = static_cast<int>(toInteger({info[0], "slot"}, 0, static_cast<int64_t>(slotIsOpen_.size()) - 1));
  if (!slotIsOpen_[slot]) throw Error("invalid_argument", format("slot %d is not open", slot));
  slotIsOpen_[slot] = false;
  queue_->push([runner = runner_, slot](const std::atomic<bool>&) { runner->closeSlot(slot); });
  return info.Env().Undefined();
}

Napi::Value ModelObject::interrupt(const Napi::CallbackInfo& info) {
  requireAlive();
  queue_->interrupt();
  return info.Env().Undefined();
}

Napi::Value ModelObject::dispose(const Napi::CallbackInfo& info) {
  Napi::Value promise;
  const Settler settler = Settler::start(info.Env(), promise);
  disposed_ = true;
  queue_->stop();
  environment_.channel().hold(info.Env());
  environment_.whenEnded(info.Env(), queue_.get(), [&channel = environment_.channel(), settler](Napi::Env env) {
    channel.release(env);
    settler.resolve(env, [](Napi::Env env) { return env.Undefined(); });
  });
  return promise;
}

}  // namespace mistralrs
