// The addon's exports: NativeBinding of runtime/native.ts.
#include <napi.h>

#include "addon/cpu_info.h"
#include "addon/environment.h"
#include "addon/load_call.h"
#include "cpu/kernel_library.h"
#include "cuda/kernel_library.h"
#include "plan/error.h"
#include "plan/plan.h"

namespace mistralrs {
namespace {

Napi::Value cpuInfo(const Napi::CallbackInfo& call) {
  const Napi::Env env = call.Env();
  Napi::Array isas = Napi::Array::New(env);
  for (const std::string& isa : availableIsas()) isas.Set(isas.Length(), isa);
  Napi::Object info = Napi::Object::New(env);
  info.Set("brand", cpuBrand());
  info.Set("isas", isas);
  return info;
}

Napi::Value gpuInfo(const Napi::CallbackInfo& call) {
  const Napi::Env env = call.Env();
  const std::optional<CudaDeviceInfo> device = cuda::findDevice();
  if (!device) return env.Null();
  Napi::Object info = Napi::Object::New(env);
  info.Set("name", device->name);
  info.Set("isa", format("sm_%d%d", device->major, device->minor));
  info.Set("totalBytes", static_cast<double>(device->totalBytes));
  info.Set("freeBytes", static_cast<double>(device->freeBytes));
  return info;
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new Environment(env));
  exports.Set("planVersion", Napi::Number::New(env, kPlanVersion));
  exports.Set("cpuInfo", Napi::Function::New(env, cpuInfo, "cpuInfo"));
  exports.Set("gpuInfo", Napi::Function::New(env, gpuInfo, "gpuInfo"));
  exports.Set("load", Napi::Function::New(env, load, "load"));
  return exports;
}

}  // namespace
}  // namespace mistralrs

static Napi::Object initModule(Napi::Env env, Napi::Object exports) { return mistralrs::init(env, exports); }
NODE_API_MODULE(mistralrs, initModule)
