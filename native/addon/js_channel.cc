#include "addon/js_channel.h"

#include <utility>

namespace mistralrs {

JsChannel::JsChannel(Napi::Env env) {
  const napi_status status = napi_create_threadsafe_function(env, nullptr, nullptr, Napi::String::New(env, "mistralrs"), 0, 1,
                                                             nullptr, nullptr, this, drain, &function_);
  if (status != napi_ok) throw Napi::Error::New(env);
  napi_unref_threadsafe_function(env, function_);
}

void JsChannel::post(Call call) {
  // The lock is kept during the call into Node: `close` then returns only when no thread is inside the function any more.
  const std::lock_guard lock(mutex_);
  if (closed_) return;
  calls_.push_back(std::move(call));
  if (!scheduled_) scheduled_ = napi_call_threadsafe_function(function_, nullptr, napi_tsfn_nonblocking) == napi_ok;
}

void JsChannel::hold(Napi::Env env) {
  if (numHolds_++ == 0) napi_ref_threadsafe_function(env, function_);
}

void JsChannel::release(Napi::Env env) {
  if (--numHolds_ == 0) napi_unref_threadsafe_function(env, function_);
}

void JsChannel::close() {
  std::vector<Call> dropped;  // destroyed without the lock
  const std::lock_guard lock(mutex_);
  closed_ = true;
  dropped.swap(calls_);
}

void JsChannel::drain(napi_env env, napi_value, void* channel, void*) {
  if (!env) return;  // the environment has ended, and the channel with it
  JsChannel& self = *static_cast<JsChannel*>(channel);
  std::vector<Call> calls;
  {
    const std::lock_guard lock(self.mutex_);
    calls.swap(self.calls_);
    self.scheduled_ = false;
  }
  for (Call& call : calls) {
    const Napi::HandleScope scope(env);
    call(env);
  }
}

}  // namespace mistralrs
