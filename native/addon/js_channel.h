// Brings calls from native threads to the JavaScript thread of one environment.
#pragma once
#include <napi.h>

#include <functional>
#include <mutex>
#include <vector>

namespace mistralrs {

class JsChannel {
 public:
  using Call = std::function<void(Napi::Env)>;

  explicit JsChannel(Napi::Env env);

  // Runs `call` on the JavaScript thread, after those posted before; what has gathered meanwhile is run in one turn of the event
  // loop. Any thread. After `close` it is dropped.
  void post(Call call);
  // While anything holds the channel the event loop stays alive. JavaScript thread.
  void hold(Napi::Env env);
  void release(Napi::Env env);
  // The environment ends: no call will run any more.
  void close();

 private:
  static void drain(napi_env env, napi_value, void* channel, void*);

  std::mutex mutex_;
  std::vector<Call> calls_;
  bool scheduled_ = false, closed_ = false;
  napi_threadsafe_function function_ = nullptr;
  int numHolds_ = 0;
};

}  // namespace mistralrs
