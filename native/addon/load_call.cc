#include "addon/load_call.h"

#include <memory>
#include <utility>

#include "addon/convert.h"
#include "addon/environment.h"
#include "addon/load_model.h"
#include "addon/model_object.h"
#include "addon/read_spec.h"
#include "addon/settler.h"

namespace mistralrs {
namespace {

// One load under way. Copied into what runs on the model's thread and what that posts back.
struct LoadCall {
  Environment& environment;
  std::shared_ptr<WorkQueue> queue;
  std::shared_ptr<std::unique_ptr<ModelRunner>> runner;  // freed at the end of the queue's thread
  std::shared_ptr<const LoadSpec> spec;
  Settler settler;
  napi_ref onProgress;             // plain data, deleted in `finish`; null without
  std::shared_ptr<bool> isSettled;  // JavaScript thread

  void run(const std::atomic<bool>& interrupt) const {
    try {
      *runner = loadModel(*spec, [this](int64_t done, int64_t total) { postProgress(done, total); }, interrupt);
      environment.channel().post([call = *this](Napi::Env env) { call.finish(env, nullptr); });
    } catch (...) {
      environment.channel().post([call = *this, error = currentError()](Napi::Env env) { call.finish(env, &error); });
    }
  }

  void postProgress(int64_t done, int64_t total) const {
    if (!onProgress) return;
    environment.channel().post([call = *this, done, total](Napi::Env env) { call.report(env, done, total); });
  }

  void report(Napi::Env env, int64_t done, int64_t total) const {
    if (*isSettled) return;
    try {
      napi_value callback = nullptr;
      napi_get_reference_value(env, onProgress, &callback);
      Napi::Function(env, callback)
          .Call({Napi::Number::New(env, static_cast<double>(done)), Napi::Number::New(env, static_cast<double>(total))});
    } catch (const Napi::Error& thrown) {  // the load fails with what its listener threw
      *isSettled = true;
      settler.rejectWith(env, thrown);
      queue->interrupt();
    }
  }

  void finish(Napi::Env env, const Error* error) const {
    if (onProgress) napi_delete_reference(env, onProgress);
    environment.channel().release(env);
    if (error || *isSettled) queue->stop();
    if (*isSettled) return;
    *isSettled = true;
    if (error) return settler.reject(env, *error);
    settler.resolve(env, [this](Napi::Env env) {
      return std::make_shared<ModelObject>(env, queue, runner->get(), spec->maxSlots)->toJs(env, *spec);
    });
  }
};

}  // namespace

Napi::Value load(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Napi::Value promise;
  const Settler settler = Settler::start(env, promise);
  try {
    auto spec = std::make_shared<const LoadSpec>(readLoadSpec({info[0], "spec"}));
    if (!info[1].IsUndefined() && !info[1].IsFunction()) throw Error("invalid_argument", "onProgress must be a function");
    Environment& environment = Environment::of(env);
    auto runner = std::make_shared<std::unique_ptr<ModelRunner>>();
    std::shared_ptr<WorkQueue> queue = environment.startQueue([runner] { runner->reset(); });
    napi_ref onProgress = nullptr;
    if (info[1].IsFunction()) napi_create_reference(env, info[1], 1, &onProgress);
    environment.channel().hold(env);
    LoadCall call{environment, queue, std::move(runner), std::move(spec), settler, onProgress, std::make_shared<bool>(false)};
    queue->push([call = std::move(call)](const std::atomic<bool>& interrupt) { call.run(interrupt); });
  } catch (...) {
    settler.reject(env, currentError());
  }
  return promise;
}

}  // namespace mistralrs
