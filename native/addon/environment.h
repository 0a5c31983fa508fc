// What the addon keeps for each JavaScript environment (the main thread, or a worker thread that loads the addon).
#pragma once
#include <napi.h>

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "addon/js_channel.h"
#include "addon/work_queue.h"

namespace mistralrs {

// Owns the channel to JavaScript and all threads started for the environment. When it ends, or the process does, the threads
// are interrupted and joined. JavaScript thread only, except for the channel's `post`.
class Environment {
 public:
  static Environment& of(Napi::Env env) { return *env.GetInstanceData<Environment>(); }

  explicit Environment(Napi::Env env);
  ~Environment();

  JsChannel& channel() { return channel_; }

  // Starts a thread. `atEnd` is the last thing it runs; then it is joined.
  std::shared_ptr<WorkQueue> startQueue(std::function<void()> atEnd);
  // `then` runs once the thread of a stopped queue has been joined: at once if it has.
  void whenEnded(Napi::Env env, const WorkQueue* queue, JsChannel::Call then);

 private:
  struct Running {
    std::shared_ptr<WorkQueue> queue;
    std::vector<JsChannel::Call> whenEnded;
  };

  static void cleanUp(void* self);
  void joinAll();
  void ended(Napi::Env env, const WorkQueue* queue);

  napi_env env_;
  JsChannel channel_;
  std::map<const WorkQueue*, Running> running_;
};

}  // namespace mistralrs
