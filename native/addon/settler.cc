#include "addon/settler.h"

#include "addon/convert.h"

namespace mistralrs {

Settler Settler::start(Napi::Env env, Napi::Value& promise) {
  napi_deferred deferred;
  napi_value value;
  if (napi_create_promise(env, &deferred, &value) != napi_ok) throw Napi::Error::New(env);
  promise = Napi::Value(env, value);
  return Settler(deferred);
}

void Settler::resolve(Napi::Env env, const std::function<Napi::Value(Napi::Env)>& toJs) const {
  try {
    napi_resolve_deferred(env, deferred_, toJs(env));
  } catch (const Napi::Error& thrown) {
    rejectWith(env, thrown);
  }
}

void Settler::reject(Napi::Env env, const Error& error) const {
  try {
    rejectWith(env, toJsError(env, error));
  } catch (const Napi::Error& thrown) {
    rejectWith(env, thrown);
  }
}

void Settler::rejectWith(Napi::Env env, const Napi::Error& thrown) const { napi_reject_deferred(env, deferred_, thrown.Value()); }

}  // namespace mistralrs
