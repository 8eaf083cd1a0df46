// Labels an image with a .tflite file of keras-segnet, through LiteRT's C API, on the CPU.
//
//   segment MODEL.tflite IMAGE.ppm LABELS.pgm
//
// IMAGE is a binary PPM (P6) of the network's own size. LABELS becomes a binary PGM (P5) whose grey values are classes.
// Any precision, interface and head of `keras-segnet export --format tflite` will do.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

// The part of LiteRT 2.3.0's C API that is used here. The packages that carry libLiteRt.so have no headers, and
// functions have changed their arguments between versions: keep to the version that CMakeLists.txt names.
extern "C" {
struct Layout {
  unsigned rank : 7, has_strides : 1;
  int32_t dimensions[8];
  uint32_t strides[8];
};
struct TensorType {
  int element;  // 1 float32, 2 int32, 3 uint8, 9 int8
  Layout layout;
};
using Handle = void*;
int LiteRtCreateEnvironment(int count, const void* options, Handle* environment);
int LiteRtCreateModelFromBuffer(Handle environment, const void* data, size_t size, Handle* model);
int LiteRtCreateOptions(Handle* options);
int LiteRtSetOptionsHardwareAccelerators(Handle options, int accelerators);
int LiteRtCreateCompiledModel(Handle environment, Handle model, Handle options, Handle* compiled);
int LiteRtGetModelSubgraph(Handle model, size_t index, Handle* subgraph);
int LiteRtGetSubgraphInput(Handle subgraph, size_t index, Handle* tensor);
int LiteRtGetSubgraphOutput(Handle subgraph, size_t index, Handle* tensor);
int LiteRtGetRankedTensorType(Handle tensor, TensorType* type);
int LiteRtGetCompiledModelInputBufferRequirements(Handle compiled, size_t signature, size_t index, Handle* needs);
int LiteRtGetCompiledModelOutputBufferRequirements(Handle compiled, size_t signature, size_t index, Handle* needs);
int LiteRtCreateManagedTensorBufferFromRequirements(Handle environment, const TensorType* type, Handle needs,
                                                    Handle* buffer);
int LiteRtLockTensorBuffer(Handle buffer, void** memory, int mode);
int LiteRtUnlockTensorBuffer(Handle buffer);
int LiteRtRunCompiledModel(Handle compiled, size_t signature, size_t inputs, Handle* input, size_t outputs,
                           Handle* output);
}

constexpr int kCpu = 1, kRead = 0, kWrite = 1;
constexpr int kFloat32 = 1, kInt32 = 2, kUint8 = 3, kInt8 = 9;

[[noreturn]] void fail(const std::string& why) {
  std::cerr << "segment: " << why << '\n';
  std::exit(2);
}

void check(int status, const std::string& what) {
  if (status != 0) fail(what + " failed, LiteRT says " + std::to_string(status));
}

std::vector<char> read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) fail(path + " cannot be read");
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<uint8_t> read_ppm(const std::string& path, int height, int width) {
  std::ifstream file(path, std::ios::binary);
  std::string magic;
  int columns = 0, rows = 0, largest = 0;
  file >> magic >> columns >> rows >> largest;
  file.get();
  if (magic != "P6" || largest != 255) fail(path + " is no binary PPM (P6) of 8 bits");
  if (rows != height || columns != width)
    fail(path + " is " + std::to_string(rows) + "x" + std::to_string(columns) + ", the network takes " +
         std::to_string(height) + "x" + std::to_string(width));
  std::vector<uint8_t> pixels(size_t(height) * width * 3);
  if (!file.read(reinterpret_cast<char*>(pixels.data()), pixels.size())) fail(path + " ends too early");
  return pixels;
}

template <typename T>
void write_classes(const T* scores, size_t pixels, int classes, std::vector<uint8_t>& labels) {
  for (size_t i = 0; i < pixels; ++i, scores += classes)
    labels[i] = std::max_element(scores, scores + classes) - scores;  // The first maximum.
}

int main(int count, char** arguments) {
  if (count != 4) fail("usage: segment MODEL.tflite IMAGE.ppm LABELS.pgm");
  Handle environment, model, options, compiled, graph, input, output, needs, in, out;
  const std::vector<char> file = read(arguments[1]);
  check(LiteRtCreateEnvironment(0, nullptr, &environment), "starting LiteRT");
  check(LiteRtCreateModelFromBuffer(environment, file.data(), file.size(), &model), "reading the model");
  check(LiteRtCreateOptions(&options), "making options");
  check(LiteRtSetOptionsHardwareAccelerators(options, kCpu), "choosing the CPU");
  check(LiteRtCreateCompiledModel(environment, model, options, &compiled), "compiling the model");

  TensorType taken, given;
  check(LiteRtGetModelSubgraph(model, 0, &graph), "finding the graph");
  check(LiteRtGetSubgraphInput(graph, 0, &input), "finding the input");
  check(LiteRtGetSubgraphOutput(graph, 0, &output), "finding the output");
  check(LiteRtGetRankedTensorType(input, &taken), "asking for the input's type");
  check(LiteRtGetRankedTensorType(output, &given), "asking for the output's type");
  const int height = taken.layout.dimensions[1], width = taken.layout.dimensions[2];
  const std::vector<uint8_t> image = read_ppm(arguments[2], height, width);

  check(LiteRtGetCompiledModelInputBufferRequirements(compiled, 0, 0, &needs), "asking for the input's buffer");
  check(LiteRtCreateManagedTensorBufferFromRequirements(environment, &taken, needs, &in), "making the input's buffer");
  check(LiteRtGetCompiledModelOutputBufferRequirements(compiled, 0, 0, &needs), "asking for the output's buffer");
  check(LiteRtCreateManagedTensorBufferFromRequirements(environment, &given, needs, &out), "making the output's buffer");

  void* memory;
  check(LiteRtLockTensorBuffer(in, &memory, kWrite), "locking the input");
  if (taken.element == kFloat32) std::copy(image.begin(), image.end(), static_cast<float*>(memory));
  else if (taken.element == kUint8) std::copy(image.begin(), image.end(), static_cast<uint8_t*>(memory));
  else if (taken.element == kInt8)
    std::transform(image.begin(), image.end(), static_cast<int8_t*>(memory), [](uint8_t v) { return int(v) - 128; });
  else fail("the model's input is neither float32 nor uint8 nor int8");
  check(LiteRtUnlockTensorBuffer(in), "unlocking the input");
  check(LiteRtRunCompiledModel(compiled, 0, 1, &in, 1, &out), "running the model");

  check(LiteRtLockTensorBuffer(out, &memory, kRead), "locking the output");
  const int classes = given.layout.rank == 4 ? given.layout.dimensions[3] : 1;
  const size_t pixels = size_t(height) * width;
  std::vector<uint8_t> labels(pixels);
  if (given.element == kInt32) std::copy_n(static_cast<int32_t*>(memory), pixels, labels.begin());
  else if (given.element == kFloat32) write_classes(static_cast<float*>(memory), pixels, classes, labels);
  else if (given.element == kUint8) write_classes(static_cast<uint8_t*>(memory), pixels, classes, labels);
  else if (given.element == kInt8) write_classes(static_cast<int8_t*>(memory), pixels, classes, labels);
  else fail("the model's output is of a type that this program does not know");

  std::ofstream result(arguments[3], std::ios::binary);
  result << "P5\n" << width << ' ' << height << "\n255\n";
  if (!result.write(reinterpret_cast<char*>(labels.data()), labels.size()))
    fail(arguments[3] + std::string(" cannot be written"));
}
