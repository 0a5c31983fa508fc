#pragma once
#include <napi.h>

namespace mistralrs {

// NativeBinding.load of runtime/native.ts: starts the model's thread, whose first task is to load the model.
Napi::Value load(const Napi::CallbackInfo& info);

}  // namespace mistralrs
