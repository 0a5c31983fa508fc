// NativeModel of runtime/native.ts: arguments are read and copied here, work is done on the model's own thread.
#pragma once
#include <napi.h>

#include <functional>
#include <memory>
#include <vector>

#include "addon/environment.h"
#include "addon/read_spec.h"
#include "plan/model_runner.h"

namespace mistralrs {

// Shared by the functions of the JavaScript object and by the calls under way; when the last of them is gone the thread ends and
// frees the model. Methods run on the JavaScript thread.
class ModelObject : public std::enable_shared_from_this<ModelObject> {
 public:
  // `runner` lives on the queue's thread until that ends.
  ModelObject(Napi::Env env, std::shared_ptr<WorkQueue> queue, ModelRunner* runner, int maxSlots);
  ~ModelObject();

  // The object that JavaScript gets. Its methods do not need `this`.
  Napi::Object toJs(Napi::Env env, const LoadSpec& spec);

 private:
  using ToJs = std::function<Napi::Value(Napi::Env)>;
  // Runs on the model's thread; may throw. Called once.
  using Work = std::function<ToJs(const std::atomic<bool>& interrupt)>;

  Napi::Value forward(const Napi::CallbackInfo& info);
  Napi::Value sample(const Napi::CallbackInfo& info);
  Napi::Value score(const Napi::CallbackInfo& info);
  Napi::Value readLogits(const Napi::CallbackInfo& info);
  Napi::Value readBuffer(const Napi::CallbackInfo& info);
  Napi::Value copyPages(const Napi::CallbackInfo& info);
  Napi::Value openSlot(const Napi::CallbackInfo& info);
  Napi::Value closeSlot(const Napi::CallbackInfo& info);
  Napi::Value interrupt(const Napi::CallbackInfo& info);
  Napi::Value dispose(const Napi::CallbackInfo& info);

  void requireAlive() const;
  // A promise of what `prepare` makes of the arguments; if it throws, of that error, in the same place of the queue.
  Napi::Value submit(Napi::Env env, const std::function<Work()>& prepare);

  Environment& environment_;
  const std::shared_ptr<WorkQueue> queue_;
  ModelRunner* const runner_;  // on the queue's thread only
  const int64_t vocab_;
  const int numOps_;
  std::vector<bool> slotIsOpen_;  // as the caller sees it
  bool disposed_ = false;
};

}  // namespace mistralrs
