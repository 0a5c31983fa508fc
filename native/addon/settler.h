// The promise of a call that native threads answer.
#pragma once
#include <napi.h>

#include <functional>

#include "plan/error.h"

namespace mistralrs {

// Plain data: copied and dropped on any thread, used on the JavaScript thread, once. Settling never throws, not even in an
// environment that is being torn down, where it has no effect.
class Settler {
 public:
  // Makes the promise.
  static Settler start(Napi::Env env, Napi::Value& promise);

  // With what `toJs` makes, or with its exception.
  void resolve(Napi::Env env, const std::function<Napi::Value(Napi::Env)>& toJs) const;
  void reject(Napi::Env env, const Error& error) const;
  void rejectWith(Napi::Env env, const Napi::Error& thrown) const;

 private:
  explicit Settler(napi_deferred deferred) : deferred_(deferred) {}

  napi_deferred deferred_;
};

}  // namespace mistralrs
