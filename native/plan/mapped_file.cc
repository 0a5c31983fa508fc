#include "plan/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "plan/error.h"

namespace mistralrs {

std::shared_ptr<MappedFile> MappedFile::open(const std::string& path) {
  const auto fail = [&](const char* what, int reason) { throw Error("io", std::string(what) + " " + path + ": " + std::strerror(reason)); };
  // Non-blocking: opening a pipe must not wait for its writer.
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) fail("cannot open", errno);
  struct stat status;
  if (::fstat(file, &status) != 0) {
    const int reason = errno;
    ::close(file);
    fail("cannot stat", reason);
  }
  if (!S_ISREG(status.st_mode)) {
    ::close(file);
    fail("not a regular file:", EINVAL);
  }
  if (status.st_size == 0) {
    ::close(file);
    return std::shared_ptr<MappedFile>(new MappedFile(nullptr, 0));
  }
  void* data = ::mmap(nullptr, static_cast<size_t>(status.st_size), PROT_READ, MAP_PRIVATE, file, 0);
  const int reason = errno;
  ::close(file);
  if (data == MAP_FAILED) fail("cannot map", reason);
  return std::shared_ptr<MappedFile>(new MappedFile(static_cast<const uint8_t*>(data), status.st_size));
}

MappedFile::~MappedFile() {
  if (data_) ::munmap(const_cast<uint8_t*>(data_), static_cast<size_t>(size_));
}

}  // namespace mistralrs
